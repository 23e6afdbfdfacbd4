package secrets

import (
	"bytes"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"

	"filippo.io/age"
	"filippo.io/age/armor"

	"github.com/hanse-fleet/hanse/internal/agetest"
)

// canary is what must be in no error and no sealed byte.
const canary = "canary-4711"

var target = Target{Namespace: "shop", Name: "db"}

func newIdentity(t testing.TB) Identity {
	t.Helper()
	id, err := NewIdentity()
	if err != nil {
		t.Fatal(err)
	}
	return id
}

// fixed is the same key in every run.
func fixed(t testing.TB, of byte) Identity {
	t.Helper()
	id, err := ParseIdentity(agetest.Key(of))
	if err != nil {
		t.Fatal(err)
	}
	return id
}

func seal(t testing.TB, to Identity, data map[string][]byte) []byte {
	t.Helper()
	sealed, err := Seal(to.Recipient(), target, data)
	if err != nil {
		t.Fatal(err)
	}
	return sealed
}

// plain is a file that says whatever it says.
func plain(t testing.TB, content string, to ...age.Recipient) []byte {
	t.Helper()
	var b bytes.Buffer
	w, err := age.Encrypt(&b, to...)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := w.Write([]byte(content)); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func TestWhatIsSealedOpensAsItWas(t *testing.T) {
	id := newIdentity(t)
	for name, data := range map[string]map[string][]byte{
		"text":            {"password": []byte(canary)},
		"several":         {"a": []byte("1"), "b.pem": []byte("x\ny\n"), "c": nil},
		"no text":         {"key": {0xff, 0, 1, 0xfe}},
		"markup":          {"a": []byte("<&>\u2028")},
		"as much as fits": {"a": bytes.Repeat([]byte{0xff}, MaxData)},
		"as much text":    {"a": bytes.Repeat([]byte("x"), MaxData)},
		"text to escape":  {"a": bytes.Repeat([]byte{1}, MaxData)},
		"and as many":     crowded(MaxNames/nameRoom/2, MaxData),
	} {
		t.Run(name, func(t *testing.T) {
			sealed := seal(t, id, data)
			if bytes.Contains(sealed, []byte(canary)) {
				t.Error("the value can be read")
			}
			opened, err := Open(id, target, sealed)
			if err != nil || !maps.EqualFunc(opened, data, bytes.Equal) {
				t.Errorf("it opens as %d values, %v", len(opened), err)
			}
		})
	}
}

// crowded are so many values, with as long names as there is room counted for each: the first has so many bytes, and the others none.
func crowded(many, value int) map[string][]byte {
	data := map[string][]byte{}
	for n := range many {
		data[fmt.Sprintf("%0*d", nameRoom, n)] = nil
	}
	data[fmt.Sprintf("%0*d", nameRoom, 0)] = bytes.Repeat([]byte{0xff}, value)
	return data
}

func TestTheSizeOfWhatIsSealedIsBounded(t *testing.T) {
	id := newIdentity(t)
	if got := len(seal(t, id, map[string][]byte{"a": []byte(canary)})); got > 2560 {
		t.Errorf("a small value takes %d bytes", got)
	}
	wrap, err := Wrap(id.Recipient(), Key{"acme", "readers", 1}, newIdentity(t))
	if err != nil || len(wrap) > 1900 { // in base64, and with what is beside it: 2.5 KiB
		t.Errorf("a wrap takes %d bytes, %v", len(wrap), err)
	}
}

func TestAHandWrittenFileOpens(t *testing.T) {
	id := newIdentity(t)
	for _, end := range []string{"\n", "\r\n"} {
		sealed := plain(t, "hanse/v1 shop/db"+end+`{"stringData": {"password": "canary-4711"}}`+end, id.Recipient().key)
		opened, err := Open(id, target, sealed)
		if err != nil || string(opened["password"]) != canary {
			t.Errorf("it opens as %d values, %v", len(opened), err)
		}
	}
}

func TestWhatIsNotAsItWasSealedIsRefused(t *testing.T) {
	id, other := newIdentity(t), newIdentity(t)
	good := seal(t, id, map[string][]byte{"password": []byte(canary)})
	x, err := age.GenerateX25519Identity()
	if err != nil {
		t.Fatal(err)
	}
	var armored bytes.Buffer
	w := armor.NewWriter(&armored)
	w.Write(good)
	w.Close()
	hybrid := id.Recipient().key
	for name, tt := range map[string]struct {
		with   Identity
		of     Target
		sealed []byte
		why    string
	}{
		"another key":        {other, target, good, "another key"},
		"another name":       {id, Target{"shop", "api"}, good, `it is not of shop/api: its first line must be "hanse/v1 shop/api"`},
		"another namespace":  {id, Target{"prod", "db"}, good, "it is not of prod/db"},
		"nothing":            {id, target, nil, "it is empty"},
		"armored":            {id, target, armored.Bytes(), "armored"},
		"no age file":        {id, target, []byte(canary), "no age file"},
		"too long":           {id, target, bytes.Repeat([]byte("a"), MaxSealed+1), "more than the limit"},
		"not post-quantum":   {id, target, plain(t, "hanse/v1 shop/db\n{}", x.Recipient()), "alone, which begins with age1pq1"},
		"for two":            {id, target, plain(t, "hanse/v1 shop/db\n{}", hybrid, other.Recipient().key), "alone"},
		"no first line":      {id, target, plain(t, canary, hybrid), "its first line must be"},
		"no values":          {id, target, plain(t, "hanse/v1 shop/db\n{}", hybrid), "no values"},
		"no JSON":            {id, target, plain(t, "hanse/v1 shop/db\npassword: "+canary, hybrid), "behind its first line"},
		"something behind":   {id, target, plain(t, `hanse/v1 shop/db`+"\n"+`{"stringData":{"a":"b"}} canary-4711`, hybrid), "behind its first line"},
		"a field more":       {id, target, plain(t, `hanse/v1 shop/db`+"\n"+`{"stringData":{"a":"b"},"canary-4711":1}`, hybrid), "behind its first line"},
		"a key twice":        {id, target, plain(t, `hanse/v1 shop/db`+"\n"+`{"stringData":{"a":"b"},"data":{"a":"Yg=="}}`, hybrid), "twice"},
		"a key that is none": {id, target, plain(t, `hanse/v1 shop/db`+"\n"+`{"stringData":{"a b":"canary-4711"}}`, hybrid), "cannot be one of a Secret"},
		"a wrap":             {id, target, plain(t, "hanse/v1 key acme/readers/1\n"+canary, hybrid), "its first line must be"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := Open(tt.with, tt.of, tt.sealed)
			if err == nil || !strings.Contains(err.Error(), tt.why) {
				t.Errorf("the error is %v", err)
			}
			if strings.Contains(fmt.Sprint(err), canary) {
				t.Errorf("the error tells the value: %v", err)
			}
		})
	}
}

func TestNoPartAndNoChangedByteOpens(t *testing.T) {
	id := newIdentity(t)
	good := seal(t, id, map[string][]byte{"password": []byte(canary)})
	for n := range good {
		if _, err := Open(id, target, good[:n]); err == nil || strings.Contains(err.Error(), canary) {
			t.Fatalf("the first %d bytes of it: %v", n, err)
		}
		flipped := slices.Clone(good)
		flipped[n] ^= 1
		if _, err := Open(id, target, flipped); err == nil || strings.Contains(err.Error(), canary) {
			t.Fatalf("with a bit of byte %d turned: %v", n, err)
		}
	}
	if _, err := Open(id, target, append(slices.Clone(good), 0)); !errors.Is(err, ErrDamaged) {
		t.Errorf("with a byte more: %v", err)
	}
}

func TestWhatCannotBeASecretIsNotSealed(t *testing.T) {
	to := newIdentity(t).Recipient()
	value := map[string][]byte{"a": []byte("b")}
	for name, tt := range map[string]struct {
		to   Recipient
		of   Target
		data map[string][]byte
		why  string
	}{
		"no recipient":     {Recipient{}, target, value, "no recipient"},
		"no values":        {to, target, nil, "no values"},
		"too much":         {to, target, map[string][]byte{"a": make([]byte, MaxData), "b": {1}}, "its values have 1048577 bytes, more than the limit of 1048576: no Secret of Kubernetes holds more"},
		"too many":         {to, target, crowded(MaxNames/nameRoom/2+1, 0), "take several"},
		"a key":            {to, target, map[string][]byte{"a b": nil}, "cannot be one of a Secret"},
		"no namespace":     {to, Target{"", "db"}, value, `namespace ""`},
		"an odd namespace": {to, Target{"a/b", "db"}, value, `namespace "a/b"`},
		"an odd name":      {to, Target{"shop", "DB"}, value, `name "DB"`},
	} {
		t.Run(name, func(t *testing.T) {
			if _, err := Seal(tt.to, tt.of, tt.data); err == nil || !strings.Contains(err.Error(), tt.why) {
				t.Errorf("the error is %v", err)
			}
		})
	}
}

func TestOnlyPostQuantumRecipientsAreTaken(t *testing.T) {
	id := newIdentity(t)
	good := id.Recipient().String()
	if r, err := ParseRecipient(" " + good + "\n"); err != nil || r.String() != good {
		t.Errorf("a good one: %v", err)
	}
	for name, tt := range map[string]struct{ text, why string }{
		"none":          {"", "no recipient"},
		"a secret key":  {id.Reveal(), "a secret key"},
		"X25519":        {"age1zvkyg2lqzraa2lnjvqej32nkuu0ues2s82hzrye869xeexvn73equnujwj", "quantum"},
		"of SSH":        {"ssh-ed25519 AAAA", "quantum"},
		"of a plugin":   {"age1yubikey1qwertyuiop", "plugin"},
		"a letter less": {good[:len(good)-1], "damaged"},
		"too long":      {strings.Repeat("a", 5000), "too long"},
		"what is none":  {canary, "no age recipient"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := ParseRecipient(tt.text)
			if err == nil || !strings.Contains(err.Error(), tt.why) {
				t.Errorf("the error is %v", err)
			}
			if tt.text != "" && strings.Contains(fmt.Sprint(err), tt.text) {
				t.Errorf("the error repeats it: %v", err)
			}
		})
	}
}

func TestAGroupsKeyIsUnwrappedByItsMemberAlone(t *testing.T) {
	member, other, key := newIdentity(t), newIdentity(t), newIdentity(t)
	of := Key{"acme", "readers", 3}
	wrap, err := Wrap(member.Recipient(), of, key)
	if err != nil {
		t.Fatal(err)
	}
	got, err := Unwrap(member, of, key.Recipient().String(), wrap)
	if err != nil || got.Reveal() != key.Reveal() {
		t.Errorf("it is not the key: %v", err)
	}
	for name, tt := range map[string]struct {
		with      Identity
		of        Key
		recipient string
	}{
		"another member":    {other, of, key.Recipient().String()},
		"another group":     {member, Key{"acme", "writers", 3}, key.Recipient().String()},
		"another epoch":     {member, Key{"acme", "readers", 2}, key.Recipient().String()},
		"another fleet":     {member, Key{"other", "readers", 3}, key.Recipient().String()},
		"another recipient": {member, of, other.Recipient().String()},
	} {
		if _, err := Unwrap(tt.with, tt.of, tt.recipient, wrap); err == nil || strings.Contains(err.Error(), key.Reveal()) {
			t.Errorf("%s: %v", name, err)
		}
		recovered, err := Recover(tt.with, tt.of, tt.recipient, wrap)
		if name == "another fleet" { // it may have been restored under another name
			if err != nil || recovered.Reveal() != key.Reveal() {
				t.Errorf("a person does not get at the key of %s: %v", name, err)
			}
		} else if err == nil || strings.Contains(err.Error(), key.Reveal()) {
			t.Errorf("a person, %s: %v", name, err)
		}
	}
}

func TestAPersonTakesNoSecretForAKey(t *testing.T) {
	id := newIdentity(t)
	sealed, err := encrypt(id.Recipient(), "shop/readers/1", []byte(newIdentity(t).Reveal()))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := Recover(id, Key{Group: "readers", Epoch: 1}, "", sealed); err == nil || !strings.Contains(err.Error(), "not key 1 of group readers") {
		t.Errorf("got %v", err)
	}
}

func TestAPrintedIdentityIsNoKey(t *testing.T) {
	id := newIdentity(t)
	for _, text := range []string{fmt.Sprint(id), fmt.Sprintf("%v %+v %#v %s", id, id, id, id)} {
		if strings.Contains(text, "AGE-SECRET-KEY") || strings.Contains(text, id.Reveal()) {
			t.Errorf("it prints as %s", text)
		}
	}
}

func FuzzCheck(f *testing.F) {
	id := fixed(f, 1) // what is in testdata is sealed to it
	f.Add([]byte("age-encryption.org/v1\n-> mlkem768x25519 a\n\n--- a\n"))
	f.Add([]byte("-----BEGIN AGE ENCRYPTED FILE-----\n"))
	f.Add([]byte{})
	f.Fuzz(func(t *testing.T, sealed []byte) {
		if _, err := Open(id, target, sealed); err == nil && Check(sealed) != nil {
			t.Error("what opens is refused")
		}
	})
}

func FuzzOpen(f *testing.F) {
	id := fixed(f, 1)
	for _, content := range []string{"hanse/v1 shop/db\n" + `{"stringData":{"a":"b"}}`, "hanse/v1 shop/db\r\n{}", "hanse/v1 shop/db", `{"data":{"a":"Yg=="}}`, ""} {
		f.Add(content)
	}
	f.Fuzz(func(t *testing.T, content string) {
		data, err := Open(id, target, plain(t, content, id.Recipient().key))
		if err != nil {
			return
		}
		again, err := Open(id, target, seal(t, id, data))
		if err != nil || !maps.EqualFunc(again, data, bytes.Equal) {
			t.Errorf("what was opened does not come back: %v", err)
		}
	})
}

func FuzzUnwrap(f *testing.F) {
	id, of := fixed(f, 1), Key{"acme", "readers", 1} // what is in testdata is wrapped to it
	key := fixed(f, 2)
	f.Add([]byte("age-encryption.org/v1\n"))
	f.Fuzz(func(t *testing.T, wrap []byte) {
		if got, err := Unwrap(id, of, key.Recipient().String(), wrap); err == nil && got.Reveal() != key.Reveal() {
			t.Error("it unwraps as another key")
		}
	})
}

// FuzzRecover: whatever stands in a wrap, a person gets the key that the group says, out of a wrap that is of that group and epoch, or an error
// that does not tell it; and so does a member, in its own fleet alone.
func FuzzRecover(f *testing.F) {
	id, key := fixed(f, 1), fixed(f, 2)
	of := Key{"acme", "readers", 1}
	for _, first := range []string{"hanse/v1 key acme/readers/1", "hanse/v1 key other/readers/1\r", "hanse/v1 key acme/readers/11", "hanse/v1 key acme/x/readers/1", "hanse/v1 acme/readers/1", "hanse/v1 key /readers/1", ""} {
		f.Add(first + "\n" + key.Reveal())
		f.Add(first + "\n" + fixed(f, 3).Reveal())
	}
	f.Add("hanse/v1 key acme/readers/1\n" + key.Reveal() + "\n")
	f.Fuzz(func(t *testing.T, content string) {
		wrap := plain(t, content, id.Recipient().key)
		first, rest, _ := strings.Cut(content, "\n")
		first = strings.TrimSuffix(first, "\r")
		for who, got := range map[string]func() (Identity, error){
			"a person": func() (Identity, error) { return Recover(id, of, key.Recipient().String(), wrap) },
			"a member": func() (Identity, error) { return Unwrap(id, of, key.Recipient().String(), wrap) },
		} {
			got, err := got()
			if err == nil && (got.Reveal() != key.Reveal() || !strings.HasPrefix(first, "hanse/v1 key ") || !strings.HasSuffix(first, "/readers/1")) {
				t.Errorf("%s takes %q for a wrap of the key", who, content)
			}
			if err == nil && who == "a member" && first != "hanse/v1 "+of.String() {
				t.Errorf("a member takes a key of %q", first)
			}
			if err != nil && first == "hanse/v1 "+of.String() && rest == key.Reveal() {
				t.Errorf("%s does not get the key: %v", who, err)
			}
			if err != nil && strings.Contains(err.Error(), key.Reveal()[:30]) {
				t.Errorf("the error tells the key: %v", err)
			}
		}
	})
}

func FuzzParseKeys(f *testing.F) {
	id := fixed(f, 1)
	f.Add(id.Reveal())
	f.Add(id.Recipient().String())
	f.Add("age1yubikey1q")
	f.Fuzz(func(t *testing.T, text string) {
		if r, err := ParseRecipient(text); err == nil && r.String() != strings.ToLower(strings.TrimSpace(text)) {
			t.Errorf("%q is read as another recipient", text)
		}
		if i, err := ParseIdentity(text); err == nil && i.Reveal() != strings.ToUpper(text) {
			t.Error("it is read as another identity")
		}
	})
}

func TestWhatIsSealedAgainIsTheSameForAnotherKey(t *testing.T) {
	first, second := newIdentity(t), newIdentity(t)
	sealed := seal(t, first, map[string][]byte{"password": []byte(canary), "key": {0xff, 0}})
	again, err := Again(first, second.Recipient(), target, sealed)
	if err != nil {
		t.Fatal(err)
	}
	data, err := Open(second, target, again)
	if err != nil || string(data["password"]) != canary {
		t.Errorf("it has %d values: %v", len(data), err)
	}
	if err := Same(target, Sealed{first, sealed}, Sealed{second, again}); err != nil {
		t.Errorf("they are not the same: %v", err)
	}
	if _, err := Again(second, first.Recipient(), target, sealed); !errors.Is(err, ErrWrongKey) {
		t.Errorf("with another key: %v", err)
	}
	if _, err := Again(first, second.Recipient(), Target{Namespace: "mine", Name: "db"}, sealed); err == nil {
		t.Error("it is sealed again for another place")
	}
	other := seal(t, second, map[string][]byte{"password": []byte("other")})
	if err := Same(target, Sealed{first, sealed}, Sealed{second, other}); err == nil || strings.Contains(err.Error(), canary) {
		t.Errorf("others are the same: %v", err)
	}
	for _, wrong := range []Sealed{{first, again}, {second, again[:len(again)-9]}} {
		if Same(target, Sealed{first, sealed}, wrong) == nil {
			t.Error("what does not open is the same")
		}
	}
}

func TestWhichOfSeveralAreNotTheSame(t *testing.T) {
	target := Target{Namespace: "shop", Name: "db"}
	key, err := NewIdentity()
	if err != nil {
		t.Fatal(err)
	}
	all := map[byte]Sealed{'x': {key, []byte("junk")}}
	for _, value := range "abo" {
		to := target
		if value == 'o' {
			to.Name = "other"
		}
		data, err := Seal(key.Recipient(), to, map[string][]byte{"password": []byte(string(value))})
		if err != nil {
			t.Fatal(err)
		}
		all[byte(value)] = Sealed{key, data}
	}
	for of, want := range map[string]struct {
		first int
		other []int
	}{
		"": {-1, nil}, "x": {-1, nil}, "o": {-1, nil}, "a": {0, nil}, "xaxa": {1, nil}, "ab": {0, []int{1}}, "xabab": {1, []int{2, 4}}, "oba": {1, []int{2}},
	} {
		var sealed []Sealed
		for _, value := range of {
			sealed = append(sealed, all[byte(value)])
		}
		if first, other := Differing(target, sealed); first != want.first || !slices.Equal(other, want.other) {
			t.Errorf("of %q: %d %v", of, first, other)
		}
	}
}
