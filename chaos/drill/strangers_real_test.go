package drill

import (
	"bytes"
	"context"
	"crypto/sha256"
	"crypto/tls"
	"fmt"
	"math/rand/v2"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/hanse-fleet/hanse/transport"
)

// quay is a fleet of one daemon, and what comes to it from outside.
type quay struct {
	*Daemon
	dir string
	n   int
}

// stranger is a daemon that wants to join.
func (q *quay) stranger(t *testing.T, cluster string) *Daemon {
	t.Helper()
	q.n++
	d, err := NewDaemon(q.hanse, filepath.Join(q.dir, fmt.Sprint(q.n)), cluster, "elsewhere")
	if err != nil {
		t.Fatal(err)
	}
	if err := os.MkdirAll(filepath.Dir(d.Dir), 0o700); err != nil {
		t.Fatal(err)
	}
	return d
}

func (q *quay) token(t *testing.T, flags ...string) string {
	t.Helper()
	args := append([]string{"token", "create"}, flags...)
	return strings.TrimSpace(ended(t, 0, tell(t, q.Person(), nil, args...), args).Out)
}

// joins lets a stranger try.
func joins(t *testing.T, d *Daemon, token string) Said {
	t.Helper()
	args := append([]string{"join", "--cluster", d.Cluster, "--region", d.Region}, d.Addresses()...)
	return tell(t, Person{Hanse: d.hanse}, []byte(token+"\n"), args...)
}

// refused checks that a command failed, said so in those words, and gave no secret away.
func refused(t *testing.T, said Said, secret string, words ...string) {
	t.Helper()
	if said.Code != 1 && said.Code != 2 {
		t.Errorf("want exit 1 or 2: %s", said)
	}
	mentions(t, said.Talk, words...)
	if secret != "" && strings.Contains(said.Out+said.Talk, secret) {
		t.Errorf("the secret is in the error: %s", said)
	}
	t.Logf("%s", said)
}

// forged is a token with something changed, and a checksum that is right.
func forged(t *testing.T, text string, change func(*transport.Token)) string {
	t.Helper()
	token, err := transport.ParseToken(text)
	if err != nil {
		t.Fatal(err)
	}
	change(&token)
	return token.String()
}

func TestStrangersAtTheDoor(t *testing.T) {
	t.Parallel()
	hanse := hanseBinary(t)
	fra := &quay{Daemon: company(t, hanse, "acme", "fra")[0], dir: folder(t)}
	demo := &quay{Daemon: company(t, hanse, "demo", "oslo")[0], dir: folder(t)}
	iad := fra.stranger(t, "iad")
	spent := fra.token(t)

	t.Run("a token lets one cluster in", func(t *testing.T) { ended(t, 0, joins(t, iad, spent), []string{"join"}) })
	t.Run("a spent token says whom it let in", func(t *testing.T) {
		refused(t, joins(t, fra.stranger(t, "sin"), spent), spent, "token spent", "iad", "hanse token create")
	})
	t.Run("an expired token says so", func(t *testing.T) {
		token := fra.token(t, "--ttl", "1s")
		<-time.After(2100 * time.Millisecond)
		refused(t, joins(t, fra.stranger(t, "sin"), token), token, "token expired", "hanse token create")
	})
	t.Run("a token of another fleet does not fit a data directory of this one", func(t *testing.T) {
		token := demo.token(t)
		refused(t, joins(t, iad, token), token, "acme", "demo", "--data-dir")
	})
	t.Run("a token that names another fleet is refused", func(t *testing.T) {
		token := forged(t, fra.token(t), func(k *transport.Token) { k.Fleet = "demo" })
		refused(t, joins(t, fra.stranger(t, "sin"), token), token, "token is for fleet", "demo", "acme")
	})
	t.Run("a token that was not made here is refused", func(t *testing.T) {
		token := forged(t, fra.token(t), func(k *transport.Token) { k.Seed[0] ^= 1 })
		refused(t, joins(t, fra.stranger(t, "sin"), token), token, "token is not known", "acme")
	})
	t.Run("a token whose addresses are somebody else's is not shown to them", func(t *testing.T) {
		token := forged(t, fra.token(t), func(k *transport.Token) { k.Addresses = []string{demo.Members()} })
		refused(t, joins(t, fra.stranger(t, "sin"), token), token, demo.Members(), "another key than expected")
	})
	t.Run("a token whose addresses nobody has says which they are", func(t *testing.T) {
		nobody := fra.stranger(t, "nobody").Members()
		token := forged(t, fra.token(t), func(k *transport.Token) { k.Addresses = []string{nobody} })
		refused(t, joins(t, fra.stranger(t, "sin"), token), token, nobody)
	})
	whole := fra.token(t)
	for name, token := range map[string]string{
		"cut off":      whole[:len(whole)-5],
		"mistyped":     whole[:40] + string(rune('a'+(whole[40]-'a'+1)%26)) + whole[41:],
		"two lines":    whole[:40] + "\n" + whole[40:],
		"other words":  "please let me in",
		"empty":        "",
		"of version 2": "hanse2-" + whole[7:],
	} {
		t.Run("a token that is garbled is refused: "+name, func(t *testing.T) {
			refused(t, joins(t, fra.stranger(t, "sin"), token), whole[45:len(whole)-5], "token")
		})
	}
	t.Run("a second cluster of the same name is refused", func(t *testing.T) {
		token := fra.token(t)
		refused(t, joins(t, fra.stranger(t, "iad"), token), token, "a cluster iad already", "hanse token create --cluster iad --replace")
	})
	t.Run("a data directory is not joined twice", func(t *testing.T) {
		token := fra.token(t)
		refused(t, joins(t, iad, token), token, "already holds iad of fleet acme", "hanse agent")
	})

	t.Run("a second agent on a data directory ends", func(t *testing.T) {
		args := []string{"agent", "--data-dir", fra.Dir, "--kubeconfig", "none"}
		refused(t, tell(t, Person{Hanse: hanse}, nil, args...), "", "in use by a running agent")
	})
	t.Run("an agent on a folder without a member ends", func(t *testing.T) {
		args := []string{"agent", "--data-dir", fra.dir, "--kubeconfig", "none"}
		refused(t, tell(t, Person{Hanse: hanse}, nil, args...), "", "holds no member", "hanse init", "hanse join")
	})
	t.Run("an agent with a kubeconfig that is none ends", func(t *testing.T) {
		file := filepath.Join(fra.dir, "kubeconfig")
		if err := os.WriteFile(file, []byte("no: [kubeconfig"), 0o600); err != nil {
			t.Fatal(err)
		}
		args := []string{"agent", "--data-dir", iad.Dir, "--kubeconfig", file}
		refused(t, tell(t, Person{Hanse: hanse}, nil, args...), "", file)
	})
	t.Run("a port that is in use is named", func(t *testing.T) {
		args := []string{"agent", "--data-dir", iad.Dir, "--kubeconfig", "none"}
		refused(t, tell(t, Person{Hanse: hanse}, nil, append(args, "--listen", fra.Members())...), "", fra.Members(), "already in use", "--listen")
		refused(t, tell(t, Person{Hanse: hanse}, nil, append(args, "--api-listen", fra.People())...), "", fra.People(), "already in use", "--api-listen")
	})
	t.Run("the next start of that daemon, without the mistake, is well", func(t *testing.T) {
		if err := iad.Start(); err != nil {
			t.Fatal(err)
		}
		defer bury(t, iad)
		until(t, comesBack, func(ctx context.Context) error { return atWork(ctx, iad, 1) })
	})
	t.Run("what is no bundle is refused", func(t *testing.T) { badManifests(t, fra.Daemon) })

	chance := rand.New(rand.NewPCG(*seed, 2))
	t.Logf("seed %d", *seed)
	t.Run("garbage, oversized and replayed datagrams change nothing", func(t *testing.T) { badDatagrams(t, fra, chance) })
	t.Run("garbage and half sentences on the API's port change nothing", func(t *testing.T) { badRequests(t, fra.Daemon, chance) })
}

// badManifests tries what people get wrong in files.
func badManifests(t *testing.T, d *Daemon) {
	settings := func(name string) string {
		return "---\napiVersion: v1\nkind: ConfigMap\nmetadata: {name: " + name + ", namespace: default}\n"
	}
	for _, bad := range []struct {
		name, text string
		words      []string
	}{
		{"no YAML", "a: [b\n", []string{"stdin: line 1", "not YAML"}},
		{"no object", "a: b\n", []string{"no apiVersion"}},
		{"two objects of one name", settings("a") + settings("a"), []string{"configmap default/a", "twice"}},
		{"empty", "", []string{"there is nothing in it"}},
		{"too large", settings("a") + "data: {a: " + strings.Repeat("x", 13<<20) + "}\n", []string{"12 MiB"}},
	} {
		t.Run(bad.name, func(t *testing.T) {
			args := []string{"apply", "--bundle", "bad", "--to", "all", "-f", "-"}
			refused(t, tell(t, d.Person(), []byte(bad.text), args...), "", bad.words...)
		})
	}
	t.Run("an unknown kind of ours", func(t *testing.T) {
		text := "apiVersion: fleet.hanse.dev/v1alpha1\nkind: Bundel\nmetadata: {name: a}\n"
		refused(t, tell(t, d.Person(), []byte(text), "apply", "-f", "-"), "", "Bundel", "Bundle")
	})
	t.Run("none of them was written", func(t *testing.T) {
		if said := tell(t, d.Person(), nil, "get", "bundles", "-o", "name"); said.Code != 0 || strings.TrimSpace(said.Out) != "" {
			t.Errorf("bundles: %s", said)
		}
	})
}

// badDatagrams lets somebody join through a tap, and sends what was heard again, among noise.
func badDatagrams(t *testing.T, fra *quay, chance *rand.Rand) {
	tap, err := NewTap(fra.Members())
	if err != nil {
		t.Fatal(err)
	}
	defer tap.Close()
	token := forged(t, fra.token(t), func(k *transport.Token) { k.Addresses = []string{tap.Address()} })
	ended(t, 0, joins(t, fra.stranger(t, "gru"), token), []string{"join"})
	heard := tap.Heard()
	if len(heard) < 3 {
		t.Fatalf("%d datagrams were heard of joining", len(heard))
	}
	for range 20 {
		if err := Shower(fra.Members(), append(Noise(chance, 200), heard...)); err != nil {
			t.Fatal(err)
		}
		for _, d := range heard { // with a byte changed
			d[chance.IntN(len(d))] ^= 1 << chance.IntN(8)
		}
	}
	stillWorks(t, fra, "after-datagrams")
	if out := ended(t, 0, tell(t, fra.Person(), nil, "get", "clusters", "-o", "name"), []string{"get"}).Out; strings.Count(out, "gru") != 1 {
		t.Errorf("clusters:\n%s", out)
	}
}

// badRequests says to the API's port what no client would.
func badRequests(t *testing.T, d *Daemon, chance *rand.Rand) {
	hello := clientHello(t)
	for name, data := range map[string][]byte{
		"noise":                           noise(chance, 4096),
		"HTTP without TLS":                []byte("GET /hanse/v1/status HTTP/1.1\r\nHost: x\r\n\r\n"),
		"a hello of another conversation": append(bytes.Clone(hello), hello...),
		"half a hello":                    hello[:len(hello)/2],
		"a record of impossible length":   append([]byte{0x16, 3, 1, 0xff, 0xff}, noise(chance, 70000)...),
		"nothing":                         {},
	} {
		answer, err := Pour(t.Context(), d.People(), data, time.Second)
		if err != nil {
			t.Errorf("%s: %v", name, err)
		}
		if bytes.Contains(answer, []byte("revision")) {
			t.Errorf("%s was answered: %q", name, answer)
		}
	}
	t.Run("without a certificate nothing is told", func(t *testing.T) {
		conn, err := tls.Dial("tcp", d.People(), &tls.Config{InsecureSkipVerify: true}) //nolint:gosec // what is asked is not believed
		if err != nil {
			return // refused at once
		}
		defer conn.Close()
		fmt.Fprint(conn, "GET /hanse/v1/status HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
		answer := make([]byte, 4096)
		n, _ := conn.Read(answer) // however it ends
		if n > 0 && !bytes.HasPrefix(answer, []byte("HTTP/1.1 401")) && !bytes.HasPrefix(answer, []byte("HTTP/1.1 403")) {
			t.Errorf("answered: %q", answer[:n])
		}
	})
	t.Run("many who say nothing keep nobody out", func(t *testing.T) {
		for range 200 {
			conn, err := net.Dial("tcp", d.People())
			if err != nil {
				t.Fatal(err)
			}
			defer conn.Close()
		}
		stillWorks(t, &quay{Daemon: d}, "after-requests")
	})
}

// clientHello is the first flight of a TLS client.
func clientHello(t *testing.T) []byte {
	t.Helper()
	ours, theirs := net.Pipe()
	defer ours.Close()
	defer theirs.Close()
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan struct{})
	defer func() { cancel(); <-done }()
	go func() {
		defer close(done)
		_ = tls.Client(ours, &tls.Config{ServerName: "member.hanse", InsecureSkipVerify: true}).HandshakeContext(ctx) //nolint:gosec // cut off
	}()
	hello := make([]byte, 16<<10)
	n, err := theirs.Read(hello)
	if err != nil {
		t.Fatal(err)
	}
	return hello[:n]
}

// stillWorks checks that a daemon takes a write and tells it, by its socket and by its port for people.
func stillWorks(t *testing.T, fra *quay, name string) {
	t.Helper()
	ended(t, 0, tell(t, fra.Person(), userNamed(name), "apply", "-f", "-"), []string{"apply"})
	kubeconfig := filepath.Join(t.TempDir(), "kubeconfig")
	config := ended(t, 0, tell(t, fra.Person(), nil, "kubeconfig"), []string{"kubeconfig"})
	if err := os.WriteFile(kubeconfig, []byte(config.Out), 0o600); err != nil {
		t.Fatal(err)
	}
	args := []string{"get", "users", "-o", "name", "--config", kubeconfig}
	mentions(t, ended(t, 0, tell(t, Person{Hanse: fra.hanse}, nil, args...), args).Out, name)
}

// userNamed is a User's manifest, with a pin of its own: the law lets no two users have one.
func userNamed(name string) []byte {
	return fmt.Appendf(nil, "apiVersion: fleet.hanse.dev/v1alpha1\nkind: User\nmetadata: {name: %s}\nspec: {role: Viewer, pin: %q}\n", name, fmt.Sprintf("%x", sha256.Sum256([]byte(name))))
}
