// Package hanse has no code of its own: its test holds the rules of the whole house. See ARCHITECTURE.md.
package hanse
