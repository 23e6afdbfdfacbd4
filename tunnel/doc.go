// Package tunnel carries a person's connection from the member that was asked to the member that is meant.
//
// What flows in it is the person's own TLS, so the members in between can change nothing and read nothing; who the person
// is, and what they may do, only the member at the end decides. The package knows neither how members reach each other
// nor what is served at the end: it is given streams, and hands out connections.
//
// DESIGN.md in this folder says how it works and why.
package tunnel
