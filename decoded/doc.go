// Package decoded reads what the log has as objects, and decodes each once for all who look at it on a member, for as long as it stays as it is. What
// cannot be read it tells apart: who decides about each object by itself goes on with the others.
package decoded
