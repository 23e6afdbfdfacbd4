package transport

import (
	"bytes"
	"errors"
	"io"
	"net"
	"os"
	"testing"
	"time"

	"github.com/quic-go/quic-go"
)

func TestStreamsOverLoopback(t *testing.T) { runOverLoopback(t, streamSuite) }
func TestStreamsOverSimnet(t *testing.T)   { runOverSimnet(t, streamSuite) }

// pair is both ends of one stream.
func pair(f *fleet) (opener, acceptor net.Conn) {
	f.Helper()
	a, b := f.add("a"), f.add("b")
	accepted, done := make(chan net.Conn), make(chan struct{})
	b.Handle("pair", func(_ MemberID, c net.Conn) {
		accepted <- c
		<-done
	})
	f.Cleanup(func() { close(done) })
	opener = a.mustOpen(b, Data, "pair")
	acceptor = receive(f, accepted)
	acceptor.SetDeadline(time.Now().Add(20 * time.Second))
	for _, c := range []net.Conn{opener, acceptor} {
		f.Cleanup(func() { c.Close() })
	}
	return opener, acceptor
}

// both runs a promise with either end in the first role.
func both(f *fleet, run func(one, other net.Conn)) {
	f.Helper()
	a, b := pair(f)
	run(a, b)
}

func swapped(f *fleet, run func(one, other net.Conn)) {
	f.Helper()
	a, b := pair(f)
	run(b, a)
}

var streamSuite = append(
	halves("the opener", both),
	halves("the acceptor", swapped)...,
)

// large does not fit into the first flow-control window.
var large = bytes.Repeat([]byte("hanse"), 1<<18)

func halves(who string, with func(*fleet, func(one, other net.Conn))) []conformance {
	promise := func(name string, run func(f *fleet, one, other net.Conn)) conformance {
		return conformance{who + " " + name, func(f *fleet) {
			with(f, func(one, other net.Conn) { run(f, one, other) })
		}}
	}
	return []conformance{
		promise("ends writing and reads on", func(f *fleet, one, other net.Conn) {
			io.WriteString(one, "question")
			one.(HalfCloser).CloseWrite()
			if b, err := io.ReadAll(other); err != nil || string(b) != "question" {
				f.Fatalf("%q, %v", b, err)
			}
			io.WriteString(other, "answer")
			other.Close()
			if b, err := io.ReadAll(one); err != nil || string(b) != "answer" {
				f.Fatalf("%q, %v", b, err)
			}
		}),
		promise("ends reading and writes on", func(f *fleet, one, other net.Conn) {
			one.(HalfCloser).CloseRead()
			if _, err := one.Read(make([]byte, 1)); !errors.Is(err, net.ErrClosed) {
				f.Errorf("own read: %v", err)
			}
			f.eventually("the other's writes fail", func() bool {
				_, err := other.Write([]byte("x"))
				return errors.Is(err, io.ErrClosedPipe)
			})
			io.WriteString(one, "still here")
			one.Close()
			if b, err := io.ReadAll(other); err != nil || string(b) != "still here" {
				f.Fatalf("%q, %v", b, err)
			}
		}),
		promise("closes, and all that it wrote arrives", func(f *fleet, one, other net.Conn) {
			go func() {
				one.Write(large)
				one.Close()
				one.Close()
			}()
			if b, err := io.ReadAll(other); err != nil || !bytes.Equal(b, large) {
				f.Fatalf("%d of %d bytes, %v", len(b), len(large), err)
			}
			if _, err := one.Write([]byte("x")); !errors.Is(err, net.ErrClosed) {
				f.Errorf("write after close: %v", err)
			}
			if _, err := one.Read(make([]byte, 1)); !errors.Is(err, net.ErrClosed) {
				f.Errorf("read after close: %v", err)
			}
		}),
		promise("closes in the middle of its write, which the other never takes for the end", func(f *fleet, one, other net.Conn) {
			wrote := make(chan error)
			go func() {
				_, err := one.Write(large)
				wrote <- err
			}()
			io.ReadFull(other, make([]byte, 1000)) // it is under way, and stuck: large is larger than the window
			one.Close()
			if err := receive(f, wrote); !errors.Is(err, net.ErrClosed) {
				f.Errorf("write: %v", err)
			}
			if n, err := io.Copy(io.Discard, other); err == nil {
				f.Errorf("the other read %d bytes and then a clean end", n)
			}
		}),
		promise("misses a write deadline, which the other never takes for the end", func(f *fleet, one, other net.Conn) {
			one.SetWriteDeadline(time.Now().Add(100 * time.Millisecond))
			if _, err := one.Write(large); !errors.Is(err, os.ErrDeadlineExceeded) {
				f.Errorf("write: %v", err)
			}
			one.Close()
			if n, err := io.Copy(io.Discard, other); err == nil {
				f.Errorf("the other read %d bytes and then a clean end", n)
			}
		}),
		promise("aborts, which the other never takes for the end", func(f *fleet, one, other net.Conn) {
			io.WriteString(one, "half a mess")
			one.(HalfCloser).Abort()
			if _, err := io.ReadAll(other); err == nil {
				f.Error("the other read a clean end")
			}
		}),
		promise("closes while it reads, which wakes the read", func(f *fleet, one, other net.Conn) {
			read := make(chan error)
			go func() {
				_, err := one.Read(make([]byte, 1))
				read <- err
			}()
			one.Close()
			if err := receive(f, read); !errors.Is(err, net.ErrClosed) {
				f.Errorf("read: %v", err)
			}
		}),
		promise("keeps a read deadline", func(f *fleet, one, other net.Conn) {
			one.SetReadDeadline(time.Now().Add(10 * time.Millisecond))
			_, err := one.Read(make([]byte, 1))
			if timeout, ok := errors.AsType[net.Error](err); !ok || !timeout.Timeout() {
				f.Errorf("read: %v", err)
			}
			one.SetReadDeadline(time.Time{})
			go io.WriteString(other, "x")
			if _, err := one.Read(make([]byte, 1)); err != nil {
				f.Errorf("read after the deadline: %v", err)
			}
		}),
	}
}

func TestStreamCountReturnsToZero(t *testing.T) {
	f := &fleet{TB: t, network: loopback{}}
	defer f.close()
	a, b := f.add("a"), f.add("b")
	for range 10 {
		a.ping(b, Control)
		c := a.mustOpen(b, Control, "unknown")
		c.Close()
		c.(HalfCloser).Abort()
	}
	for _, l := range []*link{a.link(b, Control), b.link(a, Control)} {
		f.eventually("no stream is counted", func() bool { return l.streams.Load() == 0 })
	}
}

func TestManyStreamsMayBeOpenAtOnce(t *testing.T) {
	f := &fleet{TB: t, network: loopback{}}
	defer f.close()
	a, b := f.add("a"), f.add("b")
	for range 300 { // quic-go's own limit is 100
		c := a.mustOpen(b, Control, "echo")
		defer c.Close()
		roundTrip(f, c, "x")
	}
}

func TestStreamCodesAreFixed(t *testing.T) {
	streams := []quic.StreamErrorCode{codeDone, codeCut, codeUnknownKind, codeBadHeader, codeSlowHeader}
	for want, got := range streams {
		if int(got) != want {
			t.Errorf("stream code %d is %d", want, got)
		}
	}
	connections := []quic.ApplicationErrorCode{codeClosing, codeRemoved, codeSurplus, codeRefused, codeProtocol, codeBusy}
	for want, got := range connections {
		if int(got) != want {
			t.Errorf("connection code %d is %d", want, got)
		}
	}
}
