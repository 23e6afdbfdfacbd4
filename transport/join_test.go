package transport

import (
	"context"
	"encoding/binary"
	"encoding/json"
	"errors"
	"io"
	"net"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/quic-go/quic-go"
)

func TestJoinOverLoopback(t *testing.T) { runOverLoopback(t, joinSuite) }
func TestJoinOverSimnet(t *testing.T)   { runOverSimnet(t, joinSuite) }

// desk is a JoinHandler that remembers.
type desk struct {
	mu       sync.Mutex
	requests []JoinRequest
	pins     []Pin
	answer   JoinAnswer
}

func (d *desk) join(_ context.Context, from Pin, req JoinRequest) JoinAnswer {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.requests = append(d.requests, req)
	d.pins = append(d.pins, from)
	return d.answer
}

func (d *desk) say(a JoinAnswer) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.answer = a
}

// heard is what came so far.
func (d *desk) heard() ([]JoinRequest, []Pin) {
	d.mu.Lock()
	defer d.mu.Unlock()
	return slices.Clone(d.requests), slices.Clone(d.pins)
}

func (d *desk) served() int {
	d.mu.Lock()
	defer d.mu.Unlock()
	return len(d.requests)
}

// addDesk starts a member that takes joins.
func (f *fleet) addDesk(name MemberID, change ...func(*Config)) (*member, *desk) {
	d := new(desk)
	m := f.add(name, append(change, func(c *Config) { c.Join = d.join })...)
	d.say(JoinAnswer{
		Cluster: "joiner", Region: "us", Zone: "us-1", Eligible: true,
		Members: []JoinPeer{{
			ID: m.id.ID(), Cluster: m.id.Cluster(), Pin: m.id.Pin(), Addresses: []string{m.address}, Certificate: m.id.Certificate(),
		}},
	})
	return m, d
}

func (f *fleet) token(to ...*member) Token {
	t := Token{Fleet: "acme", Expires: time.Now().Add(time.Hour), Seed: [32]byte{1, 2, 3}}
	for _, m := range to {
		t.Addresses = append(t.Addresses, m.address)
		t.Pins = append(t.Pins, m.id.Pin())
	}
	return t
}

func (f *fleet) joiner() Identity {
	f.Helper()
	id, err := NewIdentity("acme", "joiner", "0b1c")
	if err != nil {
		f.Fatal(err)
	}
	return id
}

var wish = JoinRequest{Region: "us", Version: "v0.1.0", Addresses: []string{"joiner.example:7000"}, Server: "https://joiner.example:7443"}

// join calls Join from a socket of the network.
func (f *fleet) join(token Token, id Identity) (JoinAnswer, error) {
	f.Helper()
	socket := f.network.listen(f)
	defer socket.Close()
	timing := f.network.timing()
	timing.Dial = 2 * time.Second // some wait for it to end
	return Join(f.context(), token, id, wish, JoinOptions{Conn: socket, Timing: timing, Resolve: onlyIPs})
}

// onlyIPs keeps real DNS out of virtual time.
func onlyIPs(ctx context.Context, hostport string) ([]netip.AddrPort, error) {
	ap, err := netip.ParseAddrPort(hostport)
	return []netip.AddrPort{ap}, err
}

var joinSuite = []conformance{
	{"a joiner is heard with what it signed, and gets the answer", func(f *fleet) {
		m, d := f.addDesk("m")
		token, id := f.token(m), f.joiner()
		for range 2 { // a repetition is another request with the same content
			answer, err := f.join(token, id)
			if err != nil {
				f.Fatal(err)
			}
			if diff := cmp.Diff(d.answer, answer); diff != "" {
				f.Errorf("answer (-want +got):\n%s", diff)
			}
		}
		want := wish
		want.Fleet, want.Cluster, want.Member, want.Certificate = "acme", "joiner", "0b1c", id.Certificate()
		if err := want.Sign(token.Seed); err != nil {
			f.Fatal(err)
		}
		requests, pins := d.heard()
		if diff := cmp.Diff([]JoinRequest{want, want}, requests); diff != "" {
			f.Errorf("requests (-want +got):\n%s", diff)
		}
		if len(pins) == 0 || pins[0] != id.Pin() {
			f.Error("the handler was told another pin")
		}
		if len(m.Peers()) != 0 {
			f.Error("a joiner is no peer")
		}
	}},
	{"every address is tried until a member answers for good", func(f *fleet) {
		m, d := f.addDesk("m")
		helpless, h := f.addDesk("helpless")
		h.say(JoinAnswer{Error: "no quorum", Temporary: true})
		token := f.token(helpless, m)
		token.Addresses = append([]string{f.network.nowhere()}, token.Addresses...)
		if _, err := f.join(token, f.joiner()); err != nil {
			f.Fatal(err)
		}
		if h.served() != 1 || d.served() != 1 {
			f.Errorf("served %d and %d", h.served(), d.served())
		}
	}},
	{"a refusal ends the search and says why", func(f *fleet) {
		m, d := f.addDesk("m")
		other, o := f.addDesk("other")
		d.say(JoinAnswer{Error: "this token was used\nbefore"})
		_, err := f.join(f.token(m, other), f.joiner())
		if !errors.Is(err, ErrJoinRefused) || !strings.Contains(err.Error(), "this token was used before") {
			f.Errorf("join: %v", err)
		}
		if o.served() != 0 {
			f.Error("another member was asked")
		}
	}},
	{"a member that has none of the token's keys learns nothing", func(f *fleet) {
		m, d := f.addDesk("m")
		token := f.token(m)
		token.Pins = []Pin{{1, 2, 3}}
		if _, err := f.join(token, f.joiner()); !errors.Is(err, ErrPinMismatch) {
			f.Errorf("join: %v", err)
		}
		if d.served() != 0 {
			f.Error("the handler was asked")
		}
	}},
	{"a member that takes no joins says so", func(f *fleet) {
		m := f.add("m")
		_, err := f.join(f.token(m), f.joiner())
		if err == nil || !strings.Contains(err.Error(), "does not speak this protocol") {
			f.Errorf("join: %v", err)
		}
	}},
	{"nobody at any address is an error that names them all", func(f *fleet) {
		m, _ := f.addDesk("m")
		token := f.token(m)
		token.Addresses = []string{f.network.nowhere(), "not-a-name.invalid:1"}
		_, err := f.join(token, f.joiner())
		if err == nil || !strings.Contains(err.Error(), token.Addresses[0]) || !strings.Contains(err.Error(), token.Addresses[1]) {
			f.Errorf("join: %v", err)
		}
	}},
	{"an identity of another fleet is refused before anything is sent", func(f *fleet) {
		m, d := f.addDesk("m")
		stranger, _ := NewIdentity("other", "joiner", "0b1c")
		if _, err := f.join(f.token(m), stranger); err == nil || !strings.Contains(err.Error(), `identity for "other"`) {
			f.Errorf("join: %v", err)
		}
		if d.served() != 0 {
			f.Error("the handler was asked")
		}
	}},
	{"requests that are not whole and honest never reach the handler", func(f *fleet) {
		m, d := f.addDesk("m")
		token, id := f.token(m), f.joiner()
		other, _ := NewIdentity("acme", "joiner", "0b1c")
		foreign, _ := NewIdentity("foreign", "joiner", "0b1c")
		foreignToken := token
		foreignToken.Fleet = "foreign"
		for name, test := range map[string]struct {
			request []byte
			want    string
		}{
			"garbage":                {[]byte("\x00\xff{"), "decode join request"},
			"changed after signing":  {changed(f, token, id, func(r *JoinRequest) { r.Region = "eu" }), "bad signature"},
			"signature missing":      {changed(f, token, id, func(r *JoinRequest) { r.Signature = nil }), "bad signature"},
			"key missing":            {changed(f, token, id, func(r *JoinRequest) { r.Key = nil }), "bad signature"},
			"another's certificate":  {changed(f, token, other, func(*JoinRequest) {}), "not that of the connection"},
			"a hostile cluster name": {changed(f, token, id, func(r *JoinRequest) { r.Cluster = "../x"; r.Sign(token.Seed) }), "cluster"},
			"another fleet":          {changed(f, foreignToken, foreign, func(r *JoinRequest) { r.Certificate = id.Certificate(); r.Sign(token.Seed) }), "certificate is not that of spiffe://foreign/member/joiner"},
		} {
			answer, err := f.ask(id, m, test.request)
			if err != nil || !strings.Contains(answer.Error, test.want) {
				f.Errorf("%s: answer %q, error %v, want %q", name, answer.Error, err, test.want)
			}
		}
		if d.served() != 0 {
			f.Errorf("the handler was asked %d times", d.served())
		}
	}},
	{"a request that is too large or never ends is cut", func(f *fleet) {
		m, d := f.addDesk("m")
		for name, b := range map[string][]byte{
			"too large":    binary.BigEndian.AppendUint32(nil, maxJoinRequest+1),
			"huge":         {0xff, 0xff, 0xff, 0xff, 1, 2, 3},
			"half a frame": {0, 0, 1, 0, '{'},
			"half a head":  {0},
		} {
			conn, err := f.dialRaw(f.joiner(), m, protocolJoin)
			if err != nil {
				f.Fatal(err)
			}
			s, err := conn.OpenStream()
			if err != nil {
				f.Fatal(err)
			}
			start := time.Now()
			s.Write(b)
			if _, err := s.Read(make([]byte, 1)); err == nil {
				f.Errorf("%s: answered", name)
			}
			if took := time.Since(start); f.late(took, m.cfg.Timing.Header+time.Second) {
				f.Errorf("%s: cut after %s", name, took)
			}
		}
		if _, err := f.join(f.token(m), f.joiner()); err != nil || d.served() != 1 {
			f.Errorf("an honest joiner afterwards: %v", err)
		}
	}},
	{"a joiner that asks nothing is cut", func(f *fleet) {
		m, _ := f.addDesk("m")
		conn, err := f.dialRaw(f.joiner(), m, protocolJoin)
		if err != nil {
			f.Fatal(err)
		}
		receive(f, conn.Context().Done())
	}},
	{"too many joiners at once are sent away, and a place is free again afterwards", func(f *fleet) {
		m, _ := f.addDesk("m", func(c *Config) { c.Timing.Header = 20 * time.Second })
		id := f.joiner()
		own := &quic.Transport{Conn: f.network.listen(f)}
		defer own.Conn.Close()
		defer own.Close()
		var conns []*quic.Conn
		for range maxJoins {
			conns = append(conns, f.dialJoin(own, id, m))
		}
		f.eventually("all places are taken", func() bool { return len(m.joins) == maxJoins })
		late := f.dialJoin(own, id, m)
		receive(f, late.Context().Done())
		if err := explain(context.Cause(late.Context())); f.virtual && err.Error() != "peer is busy" {
			f.Errorf("the last: %v", err)
		}
		for _, c := range conns {
			c.CloseWithError(codeClosing, "")
		}
		f.eventually("places are free", func() bool { return len(m.joins) == 0 })
		if _, err := f.join(f.token(m), id); err != nil {
			f.Error(err)
		}
	}},
	{"a joiner's context ends its waiting", func(f *fleet) {
		entered := make(chan bool)
		m := f.add("m", func(c *Config) {
			c.Join = func(ctx context.Context, _ Pin, _ JoinRequest) JoinAnswer {
				entered <- true
				<-ctx.Done()
				return JoinAnswer{Error: "too late"}
			}
		})
		ctx, cancel := context.WithCancel(f.context())
		failed := make(chan error)
		socket := f.network.listen(f)
		defer socket.Close()
		go func() {
			_, err := Join(ctx, f.token(m), f.joiner(), wish, JoinOptions{Conn: socket})
			failed <- err
		}()
		receive(f, entered)
		cancel()
		if err := receive(f, failed); !errors.Is(err, context.Canceled) {
			f.Errorf("join: %v", err)
		}
	}},
}

func TestJoinOpensAndClosesSocketOfItsOwn(t *testing.T) {
	f := &fleet{TB: t, network: loopback{}}
	defer f.close()
	m, _ := f.addDesk("m")
	if _, err := Join(f.context(), f.token(m), f.joiner(), wish, JoinOptions{}); err != nil {
		t.Fatal(err)
	}
}

func TestARefusalIsCutBetweenCharacters(t *testing.T) {
	for _, text := range []string{strings.Repeat("x", maxRefusal-1) + "é…", strings.Repeat("…", maxRefusal), "short \xff\n…"} {
		a := JoinAnswer{Error: printable(text)}
		if err := a.Validate(); err != nil || len(text) > maxRefusal && len(a.Error) < maxRefusal-2 {
			t.Errorf("%d bytes became %d: %v", len(text), len(a.Error), err)
		}
	}
}

func TestJoinerDistrustsAnswers(t *testing.T) {
	pin := Pin{1}
	for name, answer := range map[string]string{
		"garbage":                 `{"error":`,
		"no cluster":              `{}`,
		"a refusal with controls": `{"error":"\u001b[2Jgone"}`,
		"a refusal without end":   `{"error":"` + strings.Repeat("x", maxRefusal+1) + `"}`,
		"a certificate not of its pin": mustJSON(JoinAnswer{Cluster: "c", Members: []JoinPeer{{
			ID: "m", Cluster: "m", Pin: pin, Certificate: newTestIdentity(t, "m").Certificate(),
		}}}),
		"no certificate": mustJSON(JoinAnswer{Cluster: "c", Members: []JoinPeer{{ID: "m", Cluster: "m", Pin: pin}}}),
		"an address that is none": mustJSON(JoinAnswer{Cluster: "c", Members: []JoinPeer{{
			ID: "m", Cluster: "m", Pin: newTestIdentity(t, "m").Pin(), Addresses: []string{"; rm -rf /"},
		}}}),
	} {
		if a, err := decodeJoinAnswer([]byte(answer)); err == nil {
			t.Errorf("%s: taken: %+v", name, a)
		}
	}
}

// changed is a request that was signed and then changed.
func changed(f *fleet, token Token, id Identity, change func(*JoinRequest)) []byte {
	f.Helper()
	b, err := signedRequest(token, id, wish)
	if err != nil {
		f.Fatal(err)
	}
	var r JoinRequest
	if err := json.Unmarshal(b, &r); err != nil {
		f.Fatal(err)
	}
	change(&r)
	return []byte(mustJSON(r))
}

// ask sends any bytes as join request.
func (f *fleet) ask(id Identity, m *member, request []byte) (JoinAnswer, error) {
	f.Helper()
	own := &quic.Transport{Conn: f.network.listen(f)}
	defer own.Conn.Close()
	defer own.Close()
	conn := f.dialJoin(own, id, m)
	defer conn.CloseWithError(codeClosing, "")
	s, err := conn.OpenStream()
	if err != nil {
		return JoinAnswer{}, err
	}
	if err := writeFrame(s, request); err != nil {
		return JoinAnswer{}, err
	}
	b, err := readFrame(s, maxJoinAnswer)
	if err != nil {
		return JoinAnswer{}, err
	}
	if rest, err := io.ReadAll(s); err != nil || len(rest) > 0 {
		f.Errorf("after the answer: %q, %v", rest, err)
	}
	return decodeJoinAnswer(b)
}

func (f *fleet) dialJoin(own *quic.Transport, id Identity, m *member) *quic.Conn {
	f.Helper()
	c := baseTLS(id)
	c.NextProtos = []string{protocolJoin}
	conn, err := own.Dial(f.context(), net.UDPAddrFromAddrPort(netip.MustParseAddrPort(m.address)), c, DefaultTiming().quicConfig(-1))
	if err != nil {
		f.Fatal(err)
	}
	return conn
}

func mustJSON(v any) string {
	b, err := json.Marshal(v)
	if err != nil {
		panic(err)
	}
	return string(b)
}

func newTestIdentity(t testing.TB, id MemberID) Identity {
	t.Helper()
	i, err := NewIdentity("acme", "cluster-"+string(id), id)
	if err != nil {
		t.Fatal(err)
	}
	return i
}
