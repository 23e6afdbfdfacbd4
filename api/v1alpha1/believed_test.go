package v1alpha1

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestWhatARecordLeavesToTheNext(t *testing.T) {
	word := func(by string, epoch int64, data string) SealedWord {
		return SealedWord{By: by, Epoch: epoch, Data: []byte(data)}
	}
	was := &SealedBefore{2, []byte("agreed")}
	for name, c := range map[string]struct {
		of    *Sealing
		to    string
		epoch int64
		was   *SealedBefore
		words []SealedWord
		// oldest is the epoch of the oldest key that the group keeps.
		oldest int64
	}{
		"nothing":                    {nil, "fra", 3, nil, nil, 1},
		"what two agreed on":         {&Sealing{Found: 1, Epoch: 3, By: "iad", Confirmed: "fra", Data: []byte("again"), Was: was}, "fra", 4, &SealedBefore{3, []byte("again")}, nil, 1},
		"another's word":             {&Sealing{Found: 1, Epoch: 3, By: "iad", Data: []byte("again"), Was: was}, "fra", 4, was, []SealedWord{word("iad", 3, "again")}, 1},
		"not its own":                {&Sealing{Found: 1, Epoch: 3, By: "iad", Data: []byte("again"), Was: was}, "iad", 4, was, nil, 1},
		"several":                    {&Sealing{Found: 1, Epoch: 3, By: "iad", Data: []byte("again"), Words: []SealedWord{word("fra", 2, "first"), word("lon", 3, "other")}}, "lon", 3, nil, []SealedWord{word("fra", 2, "first"), word("iad", 3, "again")}, 1},
		"who wrote with this key":    {&Sealing{Found: 3, Epoch: 3, By: "iad"}, "fra", 3, nil, []SealedWord{{By: "iad", Epoch: 3}}, 1},
		"not with the one before":    {&Sealing{Found: 3, Epoch: 3, By: "iad"}, "fra", 4, nil, nil, 1},
		"what is told by two":        {&Sealing{Found: 3, Epoch: 3, By: "iad", Confirmed: "fra", Words: []SealedWord{word("mad", 3, "a lie")}}, "fra", 4, nil, []SealedWord{word("mad", 3, "a lie")}, 1},
		"of many the latest":         {&Sealing{Found: 1, Epoch: 9, By: "e", Data: []byte("e"), Words: []SealedWord{word("a", 5, "a"), word("b", 6, "b"), word("c", 7, "c"), word("d", 8, "d")}}, "f", 10, nil, []SealedWord{word("c", 7, "c"), word("d", 8, "d"), word("e", 9, "e")}, 1},
		"of this key all wrote":      {&Sealing{Found: 1, Epoch: 9, By: "e", Data: []byte("e"), Words: []SealedWord{word("a", 8, "a"), word("b", 9, "b"), word("c", 9, "c"), word("d", 9, "d")}}, "f", 9, nil, []SealedWord{{By: "b", Epoch: 9}, word("c", 9, "c"), word("d", 9, "d"), word("e", 9, "e")}, 1},
		"of an earlier build":        {&Sealing{Found: 1, Epoch: 3, By: "fra", Instead: "iad", Data: []byte("again"), Was: &SealedBefore{3, []byte("of iad")}}, "fra", 4, nil, []SealedWord{word("iad", 3, "of iad")}, 1},
		"and what that had agreed":   {&Sealing{Found: 1, Epoch: 3, By: "fra", Instead: "iad", Data: []byte("again"), Was: was}, "fra", 4, was, nil, 1},
		"to keys that are kept":      {&Sealing{Found: 1, Epoch: 9, By: "e", Data: []byte("e"), Was: &SealedBefore{5, []byte("w")}, Words: []SealedWord{word("a", 5, "a"), word("b", 6, "b")}}, "f", 10, &SealedBefore{5, []byte("w")}, []SealedWord{word("a", 5, "a"), word("b", 6, "b"), word("e", 9, "e")}, 5},
		"not to those that are gone": {&Sealing{Found: 1, Epoch: 9, By: "e", Data: []byte("e"), Was: &SealedBefore{5, []byte("w")}, Words: []SealedWord{word("a", 5, "a"), word("b", 6, "b")}}, "f", 10, nil, []SealedWord{word("b", 6, "b"), word("e", 9, "e")}, 6},
		"nor what two agreed on":     {&Sealing{Found: 1, Epoch: 5, By: "e", Confirmed: "a", Data: []byte("e")}, "f", 10, nil, nil, 6},
		"that none opens it":         {&Sealing{Epoch: 9, By: "e", Words: []SealedWord{{By: "a", Epoch: 7, None: true}, {By: "b", Epoch: 5, None: true}}}, "f", 10, nil, []SealedWord{{By: "a", Epoch: 7, None: true}, {By: "e", Epoch: 9, None: true}}, 6},
	} {
		gotWas, gotWords := c.of.Leaves(c.to, c.epoch, c.oldest)
		if !cmp.Equal(gotWas, c.was) || !cmp.Equal(gotWords, c.words) {
			t.Errorf("%s: %v %v", name, cmp.Diff(c.was, gotWas), cmp.Diff(c.words, gotWords))
		}
	}
}

func TestWhoseWordIsBelieved(t *testing.T) {
	agreed := &Sealing{Found: 1, Epoch: 3, By: "iad", Confirmed: "fra", Witness: "fra", Data: []byte("agreed")}
	iads := &Sealing{Found: 1, Epoch: 3, By: "iad", Data: []byte("iad's")}
	fras := &Sealing{Found: 1, Epoch: 3, By: "fra", Data: []byte("fra's")}
	instead := &Sealing{Found: 1, Epoch: 3, By: "iad", Instead: "fra", Data: []byte("iad's"), Words: []SealedWord{{By: "fra", Epoch: 3, Data: []byte("fra's")}}, Was: &SealedBefore{2, []byte("before")}}
	for name, c := range map[string]struct {
		by   string
		all  []*Sealing
		want string // told of are in capitals
	}{
		"nothing":                        {"fra", []*Sealing{nil}, ""},
		"what two agreed on":             {"lon", []*Sealing{agreed}, "AGREED"},
		"and that before one's word":     {"lon", []*Sealing{iads, agreed}, "AGREED iad's of iad"},
		"and before its own":             {"fra", []*Sealing{fras, agreed}, "AGREED FRA'S"},
		"its own before another's":       {"fra", []*Sealing{iads, fras}, "FRA'S iad's of iad"},
		"though that took its place":     {"fra", []*Sealing{instead}, "before fra's iad's of iad"},
		"one's alone":                    {"lon", []*Sealing{iads, iads}, "iad's iad's of iad"},
		"of two both":                    {"lon", []*Sealing{iads, fras}, "iad's fra's of iad fra"},
		"of two in one record both":      {"lon", []*Sealing{instead}, "before fra's iad's of fra iad"},
		"that none opens it, too":        {"lon", []*Sealing{{Found: 1, Epoch: 3, By: "iad", Data: []byte("iad's"), Words: []SealedWord{{By: "fra", Epoch: 2, None: true}}}}, "iad's of iad none for fra"},
		"that two say that none does":    {"lon", []*Sealing{iads, {Epoch: 3, By: "fra", Confirmed: "mad", Witness: "mad"}}, "iad's of iad none for fra"},
		"who holds no key wrote nothing": {"", []*Sealing{{Found: 1, Epoch: 3, Data: []byte("nobody's")}}, "nobody's of "},
	} {
		b, got := BelievedBy(c.by, c.all...), ""
		for _, one := range append(append(b.Agreed, b.Own...), b.Word...) {
			text := string(one.Data)
			if one.Told != nil {
				text = strings.ToUpper(text)
			}
			got += " " + text
		}
		if by := Parties(b.Word...); len(by) > 0 {
			got += " of " + strings.Join(by, " ")
		}
		if len(b.None) > 0 {
			got += " none for " + strings.Join(b.None, " ")
		}
		if got = strings.TrimPrefix(got, " "); got != c.want {
			t.Errorf("%s: %s", name, got)
		}
	}
}

func TestARecoveryKeyIsToldTheSurestFirst(t *testing.T) {
	own := &Sealing{Found: 1, Epoch: 9, By: "iad", Data: []byte("own")}
	early := &Sealing{Found: 1, Epoch: 5, By: "iad", Confirmed: "fra", Data: []byte("early")}
	late := &Sealing{Found: 1, Epoch: 8, By: "iad", Confirmed: "fra", Data: []byte("late")}
	told := SecretSealingOf("secret.db-u-9", []*Sealing{own, early, late})
	if told.Sealing != late || !cmp.Equal(told.Alike, []*Sealing{early, own}) || len(told.All()) != 3 {
		t.Errorf("it is told %+v", told)
	}
	if told := SecretSealingOf("secret.db-u-9", nil); told.Sealing != nil || told.Alike != nil {
		t.Errorf("of nothing it is told %+v", told)
	}
}
