// Package law says who may write what into the log, and what must be written together. It is pure: every member
// judges every command by it while applying the log, and all must come to the same answer. DESIGN.md has the table.
package law
