package transport

import (
	"bytes"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

func TestTokenSurvivesItsText(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		want := Token{
			Fleet:     rapid.StringMatching(`[a-z0-9]([a-z0-9.-]{0,61}[a-z0-9])?`).Draw(t, "fleet"),
			Addresses: rapid.SliceOfN(rapid.StringMatching(`[a-z0-9.-]{1,100}:[1-9][0-9]{0,3}`), 1, maxAddresses).Draw(t, "addresses"),
			Expires:   time.Unix(rapid.Int64Range(0, 1<<40).Draw(t, "expires"), 0).UTC(),
		}
		for _, b := range rapid.SliceOfN(rapid.SliceOfN(rapid.Byte(), 32, 32), 1, maxTokenPins).Draw(t, "pins") {
			want.Pins = append(want.Pins, Pin(b))
		}
		copy(want.Seed[:], rapid.SliceOfN(rapid.Byte(), 32, 32).Draw(t, "seed"))
		got, err := ParseToken(" " + want.String() + "\n")
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Fatalf("(-want +got):\n%s", diff)
		}
	})
}

func TestGarbledTokenSaysWhatIsWrong(t *testing.T) {
	good := goldenToken().String()
	i := len(good) - 20 // among the addresses, where neighbours differ
	swapped := good[:i] + good[i+1:i+2] + good[i:i+1] + good[i+2:]
	for _, test := range []struct{ name, text, want string }{
		{"empty", " \n", "it is empty"},
		{"something else", "eyJhbGciOi", `does not begin with "hanse1-"`},
		{"another version", "hanse2-" + good[7:], "another version"},
		{"cut at the end", good[:len(good)-4], "checksum does not match"},
		{"cut within a byte", good[:len(good)-5], "checksum does not match"},
		{"cut to nothing", "hanse1-AA", "checksum does not match"},
		{"first characters lost", "hanse1-" + good[9:], "checksum does not match"},
		{"two characters swapped", swapped, "checksum does not match"},
		{"a quote in it", good[:20] + `"` + good[20:], "character 21 cannot be in a token"},
		{"a line break in it", good[:20] + "\n" + good[20:], "character 21 cannot be in a token"},
		{"twice", good + good, "checksum does not match"},
		{"endless", good + strings.Repeat("A", maxTokenText), "a token has at most"},
	} {
		_, err := ParseToken(test.text)
		if !errors.Is(err, ErrGarbledToken) || !strings.Contains(fmt.Sprint(err), test.want) {
			t.Errorf("%s: %v, want %q", test.name, err, test.want)
		}
		if err != nil && strings.Contains(err.Error(), good[20:40]) {
			t.Errorf("%s: the error repeats the secret", test.name)
		}
	}
}

func TestEveryChangedCharacterIsNoticed(t *testing.T) {
	good := goldenToken().String()
	for i := range good {
		other := byte('A')
		if good[i] == 'A' {
			other = 'B'
		}
		if _, err := ParseToken(good[:i] + string(other) + good[i+1:]); err == nil {
			t.Errorf("a change of character %d was taken", i+1)
		}
	}
}

func TestTokenWithFieldsThatDoNotAddUp(t *testing.T) {
	for name, payload := range map[string][]byte{
		"nothing":          {},
		"only half a seed": make([]byte, 20),
		"no pins":          append(make([]byte, 40), "\x04acme\x00\x01\x03a:1"...),
		"no fleet":         make([]byte, 43),
		"a rest":           append(make([]byte, 40), "\x04acme\x00\x00rest"...),
		"promises":         append(make([]byte, 40), "\x04acme\xff"...),
	} {
		if got, err := decodeToken(payload); err == nil && got.Validate() == nil {
			t.Errorf("%s: taken: %+v", name, got)
		}
	}
}

func TestInvalidTokenHasNoText(t *testing.T) {
	for _, change := range []func(*Token){
		func(t *Token) { t.Fleet = "ACME!" },
		func(t *Token) { t.Pins = nil },
		func(t *Token) { t.Addresses = nil },
		func(t *Token) { t.Addresses = []string{"no port"} },
		func(t *Token) { t.Pins = make([]Pin, maxTokenPins+1) },
	} {
		token := goldenToken()
		change(&token)
		if _, err := ParseToken(token.String()); err == nil {
			t.Errorf("%+v came through", token)
		}
	}
}

func TestTokenKeepsItsSecretOutOfLogs(t *testing.T) {
	var b bytes.Buffer
	token := goldenToken()
	slog.New(slog.NewTextHandler(&b, nil)).Info("made", "token", token)
	if strings.Contains(b.String(), token.String()[20:40]) || !strings.Contains(b.String(), token.ID()) {
		t.Errorf("log: %s", b.String())
	}
}

func FuzzParseToken(f *testing.F) {
	f.Add(goldenToken().String())
	f.Add("hanse1-AAAA")
	f.Fuzz(func(t *testing.T, text string) {
		token, err := ParseToken(text)
		if err != nil {
			return
		}
		again, err := ParseToken(token.String())
		if err != nil {
			t.Fatalf("%q parses once only: %v", text, err)
		}
		if diff := cmp.Diff(token, again); diff != "" {
			t.Fatalf("(-first +second):\n%s", diff)
		}
	})
}

func FuzzDecodeToken(f *testing.F) {
	f.Add([]byte{})
	f.Add(append(make([]byte, 40), "\x04acme\x00\x01\x03a:1"...))
	f.Fuzz(func(t *testing.T, payload []byte) {
		token, err := decodeToken(payload)
		if err == nil && token.Validate() == nil {
			if _, err := ParseToken(token.String()); err != nil {
				t.Fatal(err)
			}
		}
	})
}
