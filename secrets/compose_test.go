package secrets

import (
	"bytes"
	"fmt"
	"maps"
	"strings"
	"testing"
)

func TestATemplateComposesValues(t *testing.T) {
	values := map[string][]byte{"user": []byte("anna"), "password": []byte("a b/ü\"&+"), "raw": {0xff, 0}, "empty": nil, "e.x-p_1": []byte("x")}
	for text, want := range map[string]string{
		"":                                  "",
		"plain":                             "plain",
		"${user}":                           "anna",
		"${ user }":                         "anna",
		"a${user}b${user}":                  "aannabanna",
		"${e.x-p_1}${empty}":                "x",
		"${raw}":                            "\xff\x00",
		"${url(password)}":                  "a%20b%2F%C3%BC%22%26%2B",
		`"${json(password)}"`:               `"a b/ü\"\u0026+"`,
		`${base64(user ":" password)}`:      "YW5uYTphIGIvw7wiJis=",
		`${base64( "}" user "$" )}`:         "fWFubmEk",
		`${base64(raw)}`:                    "/wA=",
		"$${user} $$ $ {user} ${user}$":     "${user} $$ $ {user} anna$",
		"postgres://${user}:${url(user)}@h": "postgres://anna:anna@h",
	} {
		got, err := Compose(map[string]string{"k": text}, values)
		if err != nil || string(got["k"]) != want || len(got) != 1 {
			t.Errorf("%q comes to %q, %v", text, got["k"], err)
		}
	}
}

func TestWithoutATemplateASecretHasTheValues(t *testing.T) {
	values := map[string][]byte{"a": []byte("1"), "b": {0xff}}
	got, err := Compose(nil, values)
	if err != nil || !maps.EqualFunc(got, values, bytes.Equal) {
		t.Errorf("it has %v, %v", got, err)
	}
	Clear(got)
	if string(values["a"]) != "1" {
		t.Error("what is cleared is not its own")
	}
}

func TestATemplateThatCannotBeCarriedOutNamesTheKeyAndNoValue(t *testing.T) {
	values := map[string][]byte{"a": []byte(canary), "raw": []byte(canary + "\xff"), "large": bytes.Repeat([]byte(canary), MaxData/2/len(canary))}
	for text, why := range map[string]string{
		"${b}":                           `template of key k: there is no value "b" that may be used here`,
		`${url("x" b)}`:                  `there is no value "b"`,
		"${json(raw)}":                   "no text cannot be one of JSON",
		"${large}${large}${large}":       "it comes to more than the 1024 KiB",
		"${base64(large large large)}":   "it comes to more than",
		"${base64(large a large)}":       "it comes to more than",
		"${a":                            "has no }",
		"${}":                            "must be the name of a value",
		"${a b}":                         "must be the name of a value",
		"${cluster.labels[\"a\"]}":       "must be the name of a value",
		"${upper(a)}":                    "there is no upper; there is base64(…), json(…), url(…)",
		"${url()}":                       "nothing in the brackets",
		"${url(a,a)}":                    "in the brackets there must be",
		`${url("a)}`:                     "has no }",
		"${url(a)b}":                     "must be the name of a value",
		strings.Repeat("x", MaxTemplate): "the template is longer than 32 KiB",
	} {
		_, err := Compose(map[string]string{"k": text}, values)
		if err == nil || !strings.Contains(err.Error(), why) {
			t.Errorf("%.40q: %v", text, err)
		}
		if strings.Contains(fmt.Sprint(err), canary) {
			t.Errorf("%.40q: the error tells the value: %v", text, err)
		}
	}
	if _, err := Compose(map[string]string{"a b": "x"}, values); err == nil {
		t.Error("a key that cannot be one of a Secret is taken")
	}
	if _, err := Compose(map[string]string{"a": strings.Repeat("${large}", 2), "b": "${large}"}, values); err == nil {
		t.Error("several keys may have more together than one")
	}
}

func TestFurtherSecretsAreBoundByWhatIsSealed(t *testing.T) {
	id := newIdentity(t)
	api, web := Target{"crm", "api"}, Target{"web", "db"}
	data := map[string][]byte{"user": []byte("anna"), "password": []byte(canary)}
	sealed, err := Seal(id.Recipient(), target, data, Bound{api, []string{"user"}}, Bound{web, nil})
	if err != nil {
		t.Fatal(err)
	}
	opened, also, err := OpenBound(id, target, sealed)
	if err != nil || !maps.EqualFunc(opened, data, bytes.Equal) || len(also) != 2 {
		t.Fatalf("it opens as %d values for %v, %v", len(opened), also, err)
	}
	b, err := BoundTo(api, also)
	if some := b.Of(opened); err != nil || len(some) != 1 || string(some["user"]) != "anna" {
		t.Errorf("crm/api may have %d values, %v", len(some), err)
	}
	if b, err := BoundTo(web, also); err != nil || len(b.Of(opened)) != 2 {
		t.Errorf("web/db may have %d values, %v", len(b.Of(opened)), err)
	}
	for _, other := range []Target{{"mine", "db"}, target} {
		if _, err := BoundTo(other, also); err == nil || !strings.Contains(err.Error(), "what is sealed does not name it") {
			t.Errorf("%s: %v", other, err)
		}
	}
	again := newIdentity(t)
	resealed, err := Again(id, again.Recipient(), target, sealed)
	if err != nil {
		t.Fatal(err)
	}
	if _, also, err := OpenBound(again, target, resealed); err != nil || len(also) != 2 {
		t.Errorf("sealed again it is for %v, %v", also, err)
	}
	// None but its first Secret is it on its own.
	if _, err := Open(id, api, sealed); err == nil {
		t.Error("a further Secret takes the place of the first")
	}
}

func TestLinesThatNameNoFurtherSecretAreRefused(t *testing.T) {
	id := newIdentity(t)
	for name, lines := range map[string]string{
		"a key of a group": "hanse/v1 key acme/readers/1\n", "nothing": "hanse/v1 \n", "no name": "hanse/v1 crm\n", "no namespace": "hanse/v1 /api\n", "an odd name": "hanse/v1 crm/canary-4711!\n",
		"an odd key": "hanse/v1 crm/api canary-4711!\n", "two spaces": "hanse/v1 crm/api  user\n", "too many": strings.Repeat("hanse/v1 crm/api\n", MaxAlso+1), "no content": "hanse/v1 crm/api",
	} {
		_, _, err := OpenBound(id, target, plain(t, "hanse/v1 shop/db\n"+lines+`{"stringData":{"user":"canary-4711"}}`, id.Recipient().key))
		if err == nil || strings.Contains(err.Error(), canary) {
			t.Errorf("%s: %v", name, err)
		}
	}
	byHand := plain(t, "hanse/v1 shop/db\r\nhanse/v1 crm/api user\r\n"+`{"stringData":{"user":"anna"}}`, id.Recipient().key)
	if _, also, err := OpenBound(id, target, byHand); err != nil || len(also) != 1 || also[0].Target != (Target{"crm", "api"}) || also[0].Keys[0] != "user" {
		t.Errorf("by hand: %v, %v", also, err)
	}
	data := map[string][]byte{"user": []byte("anna")}
	for why, also := range map[string][]Bound{
		"named twice": {{target, nil}}, `the value of "pass"`: {{Target{"crm", "api"}, []string{"pass"}}}, "namespace": {{Target{"CRM", "api"}, nil}},
		"more than the limit of 16": make([]Bound, MaxAlso+1),
	} {
		if _, err := Seal(id.Recipient(), target, data, also...); err == nil || !strings.Contains(err.Error(), why) {
			t.Errorf("%s: %v", why, err)
		}
	}
}

// FuzzCompose: whatever a template says, it comes to no more than a Secret may have, and its error has no value.
func FuzzCompose(f *testing.F) {
	for _, seed := range []string{"${a}", "$${a}${b}", `x${base64(a ":" b)}`, "${json(b)}", "${url(a", "${", "${a}${a}${a}", `${url("}" a)}`} {
		f.Add(seed)
	}
	values := map[string][]byte{"a": []byte(canary), "b": []byte("\xff" + canary)}
	f.Fuzz(func(t *testing.T, text string) {
		data, err := Compose(map[string]string{"k": text}, values)
		switch {
		case err != nil && strings.Contains(err.Error(), canary) && !strings.Contains(text, canary):
			t.Errorf("the error tells the value: %v", err)
		case err == nil && CheckTemplate(text) != nil:
			t.Error("what is carried out is refused")
		case err == nil && len(data["k"]) > MaxData:
			t.Errorf("it comes to %d bytes", len(data["k"]))
		case err == nil && !strings.Contains(text, "${") && string(data["k"]) != text:
			t.Errorf("%q comes to %q", text, data["k"])
		}
	})
}

// FuzzBounds: lines are refused, or name what they say, and are written as they were read.
func FuzzBounds(f *testing.F) {
	for _, seed := range []string{"hanse/v1 crm/api\n", "hanse/v1 crm/api user password\r\n{}", "hanse/v1 key a/b/1\n", "hanse/v1 ", "{}"} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		also, rest, err := cutBounds(body)
		if err != nil {
			return
		}
		var lines string
		for _, b := range also {
			lines += b.line()
		}
		if was := strings.ReplaceAll(string(body[:len(body)-len(rest)]), "\r\n", "\n"); strings.TrimRight(was, "\r\n") != strings.TrimSuffix(lines, "\n") {
			t.Errorf("%q is read as %q", was, lines)
		}
	})
}
