package canary

import (
	"fmt"
	"strings"
)

// Identity is the values that give an age identity away: its text without what all have in common, and the bytes that the text is of.
func Identity(what, text string) (map[string][]byte, error) {
	at := strings.LastIndexByte(text, '1')
	if at < 0 || len(text) < at+checksum+2*shortest {
		return nil, fmt.Errorf("%s: no identity", what)
	}
	letters := strings.ToLower(text[at+1:])
	key, err := eights(letters[:len(letters)-checksum])
	if err != nil {
		return nil, fmt.Errorf("%s: %w", what, err)
	}
	return map[string][]byte{what: []byte(letters), what + "'s bytes": key}, nil
}

// Bech32, of which the text is: letters of five bits each, and a checksum of six letters.
const (
	alphabet = "qpzry9x8gf2tvdw0s3jn54khce6mua7l"
	checksum = 6
)

func eights(letters string) (all []byte, err error) {
	bits, n := uint(0), 0
	for _, l := range letters {
		five := strings.IndexRune(alphabet, l)
		if five < 0 {
			return nil, fmt.Errorf("%q is no letter of an identity", l)
		}
		bits, n = bits<<5|uint(five), n+5
		if n >= 8 {
			n -= 8
			all = append(all, byte(bits>>n))
		}
	}
	return all, nil
}
