// Package atrest is how what is private in a data directory lies on its disk: in the clear, or encrypted with a data key that an age identity
// opens, which lies elsewhere.
//
// The data key is 32 random bytes. They lie in data-key.age, an age file, which is written before anything else that is private and does
// not change: for another identity the same bytes are encrypted anew, by age itself if need be. What is encrypted with them:
//
//	piece    a nonce of 24 random bytes, and XChaCha20-Poly1305 of the piece. Where it belongs is authenticated with it: it does not open elsewhere
//	file     the line "hanse/v1 encrypted", and a piece whose place is the file's name
//	stream   an age file whose one stanza, hanse-data-key, has its file key as a piece
//
// So who has the disk and not the identity sees names and sizes. Who may write to the disk may still put an older piece in its own place
// again: what must not go back is watched by who keeps it.
package atrest
