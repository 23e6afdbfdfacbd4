package consensus

import (
	"bytes"
	"encoding/binary"
	"maps"
	"testing"
)

// FuzzValues mends the checksum, so that what it is of is reached.
func FuzzValues(f *testing.F) {
	for _, v := range []values{{}, {writes: 1, ofLog: 2, byKey: map[string][]byte{"CurrentTerm": {0, 0, 0, 0, 0, 0, 0, 7}, "LastVoteCand": []byte("id-fra"), "": nil}}} {
		whole := v.encode()
		f.Add(whole[:len(whole)-8])
	}
	f.Add(append(make([]byte, 17), 0xff, 0xff))
	f.Fuzz(func(t *testing.T, body []byte) {
		v, err := parseValues(binary.BigEndian.AppendUint64(body, sumOf('V', nil, body)))
		if err != nil {
			return
		}
		again, err := parseValues(v.encode())
		if err != nil || again.writes != v.writes || again.ofLog != v.ofLog || !maps.EqualFunc(again.byKey, v.byKey, bytes.Equal) {
			t.Errorf("%+v becomes %+v: %v", v, again, err)
		}
	})
}
