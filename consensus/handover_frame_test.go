package consensus

import (
	"bytes"
	"encoding/hex"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestStandFrame(t *testing.T) {
	for _, g := range []struct {
		call  standCall
		bytes string
	}{
		{standCall{Version: 1, Term: 3}, "00000005a201010203"},
		{
			standCall{Version: 1, Term: 3, Entries: &followEntries{First: 8, PrevTerm: 2, Entries: []followEntry{{Term: 3, Data: []byte("d")}}}},
			"00000014a30101020303a30108020203818503004164f600",
		},
	} {
		var b bytes.Buffer
		if err := writeFrame(&b, g.call); err != nil || hex.EncodeToString(b.Bytes()) != g.bytes {
			t.Errorf("%+v: %x, %v", g.call, b.Bytes(), err)
		}
		var got standCall
		if err := readFrame(&b, &got); err != nil || !cmp.Equal(got, g.call) {
			t.Errorf("got %+v, %v", got, err)
		}
	}
}
