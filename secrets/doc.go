// Package secrets seals what only some clusters may read, and opens it there. It knows keys and bytes: what lies where, and who is of
// a group, others decide. See DESIGN.md.
package secrets
