// Package agetest makes private keys of age that are the same in every run: an input that a fuzz target finds with one breaks it again.
package agetest

import "bytes"

// Bech32, as keys are written: letters of five bits each, behind a name and a 1, with a checksum of six letters.
const (
	alphabet = "qpzry9x8gf2tvdw0s3jn54khce6mua7l"
	name     = "AGE-SECRET-KEY-PQ-"
	checksum = 6
)

// Key is the post-quantum private key that is made of one byte, 32 times. It is nobody's secret.
func Key(of byte) string {
	fives := inFives(bytes.Repeat([]byte{of}, 32))
	text := []byte(name + "1")
	for _, five := range append(fives, sumOf(fives)...) {
		text = append(text, bytes.ToUpper([]byte{alphabet[five]})...)
	}
	return string(text)
}

// inFives is the same bits, five at a time, with zeros behind.
func inFives(eights []byte) (fives []byte) {
	bits, n := uint(0), 0
	for _, b := range eights {
		for bits, n = bits<<8|uint(b), n+8; n >= 5; n -= 5 {
			fives = append(fives, byte(bits>>(n-5)&31))
		}
	}
	if n > 0 {
		fives = append(fives, byte(bits<<(5-n)&31))
	}
	return fives
}

// sumOf is the checksum of the name, in small letters, and what stands behind it.
func sumOf(fives []byte) (sum []byte) {
	var all []byte
	small := bytes.ToLower([]byte(name))
	for _, c := range small {
		all = append(all, c>>5)
	}
	all = append(all, 0)
	for _, c := range small {
		all = append(all, c&31)
	}
	all = append(append(all, fives...), make([]byte, checksum)...)
	rest := remainder(all) ^ 1
	for i := range checksum {
		sum = append(sum, byte(rest>>(5*(checksum-1-i))&31))
	}
	return sum
}

// remainder of a polynomial by the one of Bech32 (BIP 173).
func remainder(values []byte) uint32 {
	rest := uint32(1)
	for _, v := range values {
		top := rest >> 25
		rest = (rest&0x1ffffff)<<5 ^ uint32(v)
		for i, g := range []uint32{0x3b6a57b2, 0x26508e6d, 0x1ea119fa, 0x3d4233dd, 0x2a1462b3} {
			if top>>i&1 == 1 {
				rest ^= g
			}
		}
	}
	return rest
}
