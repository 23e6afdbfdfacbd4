// Package proxy lets people of the fleet ask the API of the member's own cluster, each in their own name: the cluster's
// own rules say what they may do there, and its own audit log says what they did.
//
// DESIGN.md in this folder says how it works and why.
package proxy
