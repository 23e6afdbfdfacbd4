package relay_test

import (
	"io"
	"net"
	"testing"
	"time"

	"github.com/hanse-fleet/hanse/chaos/relay"
)

const delay = 30 * time.Millisecond

func TestARelayPassesOnNoSoonerThanItsDelay(t *testing.T) {
	t.Run("datagrams, there and back", func(t *testing.T) {
		echo, err := net.ListenUDP("udp", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
		if err != nil {
			t.Fatal(err)
		}
		defer echo.Close()
		go func() {
			buffer := make([]byte, 64)
			for {
				n, from, err := echo.ReadFromUDP(buffer)
				if err != nil {
					return
				}
				echo.WriteToUDP(buffer[:n], from)
			}
		}()
		d, err := relay.NewDatagrams("127.0.0.1", echo.LocalAddr().String(), delay)
		if err != nil {
			t.Fatal(err)
		}
		defer d.Close()
		roundTrips(t, "udp", d.Address())
	})
	t.Run("streams, there and back", func(t *testing.T) {
		echo, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		defer echo.Close()
		go func() {
			for {
				c, err := echo.Accept()
				if err != nil {
					return
				}
				go func() { io.Copy(c, c); c.Close() }()
			}
		}()
		s, err := relay.NewStreams("127.0.0.1", echo.Addr().String(), delay)
		if err != nil {
			t.Fatal(err)
		}
		defer s.Close()
		roundTrips(t, "tcp", s.Address())
	})
}

// roundTrips sends, in order, and sees the same come back, each after two delays.
func roundTrips(t *testing.T, network, address string) {
	t.Helper()
	c, err := net.Dial(network, address)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	c.SetDeadline(time.Now().Add(2 * time.Minute))
	for _, word := range []string{"one", "two", "six"} {
		begun := time.Now()
		if _, err := c.Write([]byte(word)); err != nil {
			t.Fatal(err)
		}
		answer := make([]byte, len(word))
		if _, err := io.ReadFull(c, answer); err != nil {
			t.Fatal(err)
		}
		if string(answer) != word {
			t.Errorf("sent %q, got %q", word, answer)
		}
		if took := time.Since(begun); took < 2*delay {
			t.Errorf("%q was back after %s", word, took)
		}
	}
}

func TestAStreamThatEndsBreaksTheOtherSide(t *testing.T) {
	target, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer target.Close()
	s, err := relay.NewStreams("127.0.0.1", target.Addr().String(), delay)
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	c, err := net.Dial("tcp", s.Address())
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	far, err := target.Accept()
	if err != nil {
		t.Fatal(err)
	}
	far.Close()
	c.SetDeadline(time.Now().Add(2 * time.Minute))
	if _, err := c.Read(make([]byte, 1)); err == nil {
		t.Error("the near side reads on")
	}
}
