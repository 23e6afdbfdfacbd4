package tunnel

import (
	"bytes"
	"errors"
	"io"
	"strings"
	"testing"
)

// The bytes are the protocol between members of different versions: they change with its kind, or not at all.
func TestTheBytesOfATunnelStayWhatTheyAre(t *testing.T) {
	if got, want := string(appendRequest(nil, "a1-b2")), "\x05a1-b2"; got != want {
		t.Errorf("request %q, want %q", got, want)
	}
	for code, want := range map[byte]error{1: nil, 2: ErrUnreachable, 3: ErrBusy, 4: errStopping} {
		if err := readAnswer(bytes.NewReader([]byte{code})); !errors.Is(err, want) || (err == nil) != (want == nil) {
			t.Errorf("answer %d means %v, want %v", code, err, want)
		}
		if got := answerOf(want); byte(got) != code {
			t.Errorf("%v is told as %d, want %d", want, got, code)
		}
	}
}

func TestARequestThatMakesNoSenseIsRefused(t *testing.T) {
	for name, bad := range map[string]string{
		"nothing": "", "no name": "\x00", "too long": "\x41" + strings.Repeat("a", 65), "cut off": "\x05ab", "a slash": "\x03a/b", "capitals": "\x02AB",
	} {
		if id, err := readRequest(strings.NewReader(bad)); err == nil {
			t.Errorf("%s: %q was taken", name, id)
		}
	}
	if err := readAnswer(bytes.NewReader([]byte{9})); err == nil {
		t.Error("an answer of a later version was taken for one of this")
	}
}

func FuzzReadRequest(f *testing.F) {
	f.Add([]byte("\x05a1-b2rest"))
	f.Fuzz(func(t *testing.T, sent []byte) {
		if err := readAnswer(bytes.NewReader(sent)); err == nil && sent[0] != byte(answerThrough) {
			t.Errorf("%q was read as a way through", sent)
		}
		r := bytes.NewReader(sent)
		id, err := readRequest(r)
		if err != nil {
			return
		}
		rest, _ := io.ReadAll(r)
		if again := append(appendRequest(nil, id), rest...); !bytes.Equal(again, sent) {
			t.Errorf("%q was read as %q and %q", sent, id, rest)
		}
	})
}
