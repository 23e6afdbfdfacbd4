// Package transport carries streams between the members of a fleet over QUIC.
//
// An Endpoint has one UDP socket. Between it and each peer there are up to three connections, one of each Class, on which
// either side opens streams of named kinds. Both sides prove the key behind a self-signed certificate; what keys are
// welcome is decided outside, by a Directory, and never by a certificate authority. The member at the other end of a
// stream is known from the connection's key and from nothing that was sent on it.
//
// Joining has a protocol of its own (Token, Join, JoinHandler), because a joiner's key is not known yet.
//
// DESIGN.md in this folder says how it works and why.
package transport
