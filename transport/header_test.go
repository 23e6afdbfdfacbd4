package transport

import (
	"bytes"
	"errors"
	"io"
	"strings"
	"testing"
	"testing/iotest"
)

func TestHeaderIsReadToItsLastByteAndNoFurther(t *testing.T) {
	for _, kind := range []string{"a", "raft", "raft-2", strings.Repeat("k", maxKind)} {
		r := bytes.NewReader(append(appendHeader(nil, kind), "body"...))
		got, err := readHeader(iotest.OneByteReader(r))
		if err != nil || got != kind {
			t.Errorf("%q: %q, %v", kind, got, err)
		}
		if rest, _ := io.ReadAll(r); string(rest) != "body" {
			t.Errorf("%q: rest %q", kind, rest)
		}
	}
}

func TestHeaderRefusesWhatIsNoKind(t *testing.T) {
	for _, bad := range []string{"", "-a", "1a", "A", "a b", "a\n", "a/b", "ä", strings.Repeat("k", maxKind+1)} {
		if _, err := readHeader(bytes.NewReader(appendHeader(nil, bad))); !errors.Is(err, errBadKind) {
			t.Errorf("%q: %v", bad, err)
		}
	}
	for _, cut := range []string{"", "\x05", "\x05raf"} {
		if _, err := readHeader(strings.NewReader(cut)); err == nil {
			t.Errorf("%q was taken", cut)
		}
	}
}

func FuzzReadHeader(f *testing.F) {
	f.Add([]byte("\x04raft"))
	f.Add([]byte("\x00"))
	f.Add([]byte("\xffraft"))
	f.Fuzz(func(t *testing.T, b []byte) {
		r := bytes.NewReader(b)
		kind, err := readHeader(r)
		if err != nil {
			return
		}
		if checkKind(kind) != nil {
			t.Fatalf("took %q", kind)
		}
		if again := appendHeader(nil, kind); !bytes.HasPrefix(b, again) || r.Len() != len(b)-len(again) {
			t.Fatalf("%q is not how %q begins", again, b)
		}
	})
}

func TestFrameIsBounded(t *testing.T) {
	var b bytes.Buffer
	if err := writeFrame(&b, []byte("hello")); err != nil {
		t.Fatal(err)
	}
	whole := b.Bytes()
	if got, err := readFrame(bytes.NewReader(whole), 5); err != nil || string(got) != "hello" {
		t.Errorf("%q, %v", got, err)
	}
	if _, err := readFrame(bytes.NewReader(whole), 4); err == nil {
		t.Error("a frame over the limit was taken")
	}
	for n := range len(whole) {
		if _, err := readFrame(bytes.NewReader(whole[:n]), 5); err == nil {
			t.Errorf("%d bytes of a frame were taken", n)
		}
	}
}

func FuzzReadFrame(f *testing.F) {
	f.Add([]byte("\x00\x00\x00\x02{}"))
	f.Fuzz(func(t *testing.T, b []byte) {
		got, err := readFrame(bytes.NewReader(b), 1<<10)
		if err == nil && (len(got) > 1<<10 || !bytes.Equal(b[4:4+len(got)], got)) {
			t.Fatalf("%q from %q", got, b)
		}
	})
}

func FuzzReadWelcome(f *testing.F) {
	for _, seed := range []string{"", "\x00", "\x01", "\xff\x00"} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		if err := readWelcome(bytes.NewReader(b)); (err == nil) != (len(b) > 0 && b[0] >= welcomeVersion) {
			t.Fatalf("%q: %v", b, err)
		}
	})
}
