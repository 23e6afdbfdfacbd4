package foreign

import (
	"bytes"
	"cmp"
	"crypto/aes"
	"crypto/cipher"
	"crypto/sha512"
	"crypto/subtle"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"hash"
	"io"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"filippo.io/age"
	"filippo.io/age/armor"
)

// sopsField is where SOPS writes what it knows of a document.
const sopsField = "sops"

// sopsMetadata is what is read of that.
type sopsMetadata struct {
	Age []struct {
		Recipient string `json:"recipient"`
		Enc       string `json:"enc"`
	} `json:"age"`
	KeyGroups               []json.RawMessage `json:"key_groups"`
	LastModified            string            `json:"lastmodified"`
	MAC                     string            `json:"mac"`
	UnencryptedSuffix       string            `json:"unencrypted_suffix"`
	EncryptedSuffix         string            `json:"encrypted_suffix"`
	UnencryptedRegex        string            `json:"unencrypted_regex"`
	EncryptedRegex          string            `json:"encrypted_regex"`
	UnencryptedCommentRegex string            `json:"unencrypted_comment_regex"`
	EncryptedCommentRegex   string            `json:"encrypted_comment_regex"`
	MACOnlyEncrypted        bool              `json:"mac_only_encrypted"`
}

// others says who else than age can open it.
var others = map[string]string{"kms": "AWS KMS", "gcp_kms": "GCP KMS", "azure_kv": "Azure Key Vault", "hc_vault": "Vault", "hckms": "Huawei Cloud KMS", "pgp": "PGP"}

// macOnlyEncrypted begins what is signed when only the encrypted values are, as SOPS has it.
var macOnlyEncrypted = []byte{
	0x8a, 0x3f, 0xd2, 0xad, 0x54, 0xce, 0x66, 0x52, 0x7b, 0x10, 0x34, 0xf3, 0xd1, 0x47, 0xbe, 0x0b,
	0x0b, 0x97, 0x5b, 0x3b, 0xf4, 0x4f, 0x72, 0xc6, 0xfd, 0xad, 0xec, 0x81, 0x76, 0xf2, 0x7d, 0x69,
}

// IsSOPS says that a text was encrypted by SOPS.
func IsSOPS(text []byte) bool {
	if !bytes.Contains(text, []byte(sopsField)) || !bytes.Contains(text, []byte("mac")) {
		return false
	}
	all, err := documents(text)
	return err == nil && slices.ContainsFunc(all, isSOPS)
}

func isSOPS(document mapping) bool {
	metadata, ok := document.get(sopsField).(mapping)
	return ok && metadata.has("mac")
}

// IsLeftEncrypted says that an object, taken as it stands, is encrypted by SOPS, all of it or one value: IsSOPS is false, too, of a text that
// cannot be read as SOPS writes it.
func IsLeftEncrypted(object map[string]any) bool {
	_, said := object[sopsField]
	return said || holdsEncrypted(object)
}

func holdsEncrypted(tree any) bool {
	switch t := tree.(type) {
	case map[string]any:
		for _, value := range t {
			if holdsEncrypted(value) {
				return true
			}
		}
	case []any:
		return slices.ContainsFunc(t, holdsEncrypted)
	case string:
		return strings.HasPrefix(strings.TrimSpace(t), "ENC[AES256_GCM,")
	}
	return false
}

// OpenSOPS is what a file of SOPS holds: the objects of its documents, as JSON decodes them.
func (k Keys) OpenSOPS(text []byte) (objects []map[string]any, err error) {
	all, err := documents(text)
	if err != nil {
		return nil, err
	}
	if len(all) == 0 || !isSOPS(all[0]) {
		return nil, errors.New("its first document is not one that SOPS encrypted")
	}
	var m sopsMetadata
	raw, err := json.Marshal(plain(all[0].get(sopsField)))
	if err != nil || json.Unmarshal(raw, &m) != nil {
		return nil, errors.New("what SOPS writes under sops cannot be read")
	}
	f, err := k.sopsFile(m, all[0].get(sopsField).(mapping))
	if err != nil {
		return nil, err
	}
	defer clear(f.key)
	for _, document := range all {
		document = slices.DeleteFunc(slices.Clone(document), func(f field) bool { return f.key == sopsField })
		opened, err := f.walk(document, nil)
		if err != nil {
			return nil, err
		}
		objects = append(objects, plain(opened).(map[string]any))
	}
	if err := f.verify(); err != nil {
		return nil, err
	}
	return objects, nil
}

// sopsFile is one that is being opened: the values are signed in the order in which they stand.
type sopsFile struct {
	sopsMetadata
	key       []byte
	encrypted func(path []string) bool
	hash      hash.Hash
}

func (k Keys) sopsFile(m sopsMetadata, raw mapping) (*sopsFile, error) {
	f := &sopsFile{sopsMetadata: m, hash: sha512.New()}
	if m.MACOnlyEncrypted {
		f.hash.Write(macOnlyEncrypted)
	}
	var err error
	if f.encrypted, err = m.rule(); err != nil {
		return nil, err
	}
	f.key, err = k.dataKey(m, raw)
	return f, err
}

// rule says which values are encrypted, by the names of the fields that they are in.
func (m sopsMetadata) rule() (func(path []string) bool, error) {
	if m.UnencryptedCommentRegex != "" || m.EncryptedCommentRegex != "" {
		return nil, errors.New("comments say which of its values are encrypted, which is not understood here; sops decrypt FILE | hanse seal -f - … does it without a file in the clear")
	}
	rules := 0
	rule := func([]string) bool { return true }
	for _, r := range []struct {
		said     string
		regex    bool
		encrypts bool
	}{{m.UnencryptedSuffix, false, false}, {m.EncryptedSuffix, false, true}, {m.UnencryptedRegex, true, false}, {m.EncryptedRegex, true, true}} {
		if r.said == "" {
			continue
		}
		rules++
		matches := func(name string) bool { return strings.HasSuffix(name, r.said) }
		if r.regex {
			pattern, err := regexp.Compile(r.said)
			if err != nil {
				return nil, errors.New("encrypted_regex or unencrypted_regex under sops is no expression")
			}
			matches = pattern.MatchString
		}
		rule = func(path []string) bool { return slices.ContainsFunc(path, matches) == r.encrypts }
	}
	switch rules {
	case 0:
		m.UnencryptedSuffix = "_unencrypted"
		return m.rule()
	case 1:
		return rule, nil
	}
	return nil, errors.New("more than one rule under sops says which values are encrypted")
}

// dataKey opens the key that all values are encrypted with.
func (k Keys) dataKey(m sopsMetadata, raw mapping) ([]byte, error) {
	if len(m.KeyGroups) > 0 {
		return nil, errors.New("its key is in parts (key_groups), which only sops puts together: sops decrypt FILE | hanse seal -f - …")
	}
	if len(m.Age) == 0 {
		var who []string
		for name, words := range others {
			if list, ok := raw.get(name).([]any); ok && len(list) > 0 {
				who = append(who, words)
			}
		}
		slices.Sort(who)
		return nil, fmt.Errorf("it is not encrypted to age keys, but to %s, which only sops asks: sops decrypt FILE | hanse seal -f - … does it without a file in the clear", cmp.Or(strings.Join(who, ", "), "nobody"))
	}
	if len(k.ages) == 0 {
		return nil, errors.New("no age key is given: --identity FILE, SOPS_AGE_KEY_FILE or SOPS_AGE_KEY")
	}
	for _, to := range m.Age {
		r, err := age.Decrypt(armor.NewReader(strings.NewReader(to.Enc)), k.ages...)
		if err != nil {
			continue
		}
		key, err := io.ReadAll(io.LimitReader(r, 33))
		if err == nil && len(key) == 32 {
			return key, nil
		}
		clear(key)
	}
	var to []string
	for _, a := range m.Age {
		to = append(to, shortened(a.Recipient))
	}
	return nil, fmt.Errorf("none of the age keys that are given opens it; it is encrypted to %s", strings.Join(to, ", "))
}

// shortened is a recipient as people recognise it. What is none is not told.
func shortened(recipient string) string {
	switch {
	case !strings.HasPrefix(recipient, "age1"):
		return "a recipient that is none of age"
	case len(recipient) > 20:
		return recipient[:20] + "…"
	}
	return recipient
}

// walk opens a tree.
func (f *sopsFile) walk(tree any, path []string) (any, error) {
	switch t := tree.(type) {
	case mapping:
		opened := make(mapping, 0, len(t))
		for _, at := range t {
			value, err := f.walk(at.value, append(path[:len(path):len(path)], at.key))
			if err != nil {
				return nil, err
			}
			opened = append(opened, field{at.key, value})
		}
		return opened, nil
	case []any:
		opened := make([]any, 0, len(t))
		for _, item := range t {
			value, err := f.walk(item, path)
			if err != nil {
				return nil, err
			}
			if _, is := value.(comment); !is {
				opened = append(opened, value)
			}
		}
		return opened, nil
	case nil:
		return nil, nil
	}
	return f.leaf(tree, path)
}

// comment is one in a list, which SOPS encrypts as a value.
type comment struct{}

func (f *sopsFile) leaf(value any, path []string) (any, error) {
	encrypted := f.encrypted(path)
	if encrypted {
		text, ok := value.(string)
		if !ok {
			return nil, fmt.Errorf("%s is to be encrypted, and is not", strings.Join(path, "."))
		}
		var err error
		if value, err = f.open(text, strings.Join(path, ":")+":"); err != nil {
			return nil, fmt.Errorf("%s %w", strings.Join(path, "."), err)
		}
	}
	if _, is := value.(comment); !is && (encrypted || !f.MACOnlyEncrypted) {
		f.hash.Write(signed(value))
	}
	return value, nil
}

// signed is a value as it is signed.
func signed(value any) []byte {
	switch v := value.(type) {
	case string:
		return []byte(v)
	case int:
		return strconv.AppendInt(nil, int64(v), 10)
	case float64:
		return strconv.AppendFloat(nil, v, 'f', -1, 64)
	case bool:
		if v {
			return []byte("True")
		}
		return []byte("False")
	case time.Time:
		text, _ := v.MarshalText()
		return text
	}
	return nil
}

var encrypted = regexp.MustCompile(`^ENC\[AES256_GCM,data:([^,]+),iv:([^,]+),tag:([^,]+),type:([a-z]+)\]$`)

// open decrypts one value. Beside it is signed where it stands.
func (f *sopsFile) open(text, beside string) (any, error) {
	if text == "" {
		return "", nil
	}
	parts := encrypted.FindStringSubmatch(text)
	if parts == nil {
		return nil, errors.New("is to be encrypted by SOPS, and is not: ENC[AES256_GCM,…]")
	}
	var part [3][]byte // data, iv, tag
	for i := range part {
		var err error
		if part[i], err = base64.StdEncoding.DecodeString(parts[i+1]); err != nil {
			return nil, errors.New("is damaged")
		}
	}
	block, err := aes.NewCipher(f.key)
	if err != nil {
		return nil, errors.New("is damaged")
	}
	gcm, err := cipher.NewGCMWithNonceSize(block, max(1, len(part[1])))
	if err != nil || len(part[2]) != gcm.Overhead() || len(part[1]) == 0 {
		return nil, errors.New("is damaged")
	}
	value, err := gcm.Open(nil, part[1], append(part[0], part[2]...), []byte(beside))
	if err != nil {
		return nil, errors.New("is damaged, or was moved there from another field")
	}
	defer clear(value)
	return typed(value, parts[4])
}

func typed(text []byte, kind string) (value any, err error) {
	switch kind {
	case "str", "bytes":
		return string(text), nil
	case "int":
		value, err = strconv.Atoi(string(text))
	case "float":
		value, err = strconv.ParseFloat(string(text), 64)
	case "bool":
		value, err = strconv.ParseBool(string(text))
	case "time":
		var at time.Time
		err = at.UnmarshalText(text)
		value = at
	case "comment":
		return comment{}, nil
	default:
		return nil, errors.New("is of a type that is not understood")
	}
	if err != nil { // it would tell the value
		return nil, errors.New("is not of its type")
	}
	return value, nil
}

// verify says whether all values are there, as they were when they were encrypted.
func (f *sopsFile) verify() error {
	at, err := time.Parse(time.RFC3339, f.LastModified)
	if err != nil {
		return errors.New("sops.lastmodified is no time")
	}
	mac, err := f.open(f.MAC, at.Format(time.RFC3339))
	if err != nil {
		return fmt.Errorf("sops.mac %w", err)
	}
	is := []byte(strings.ToUpper(hex.EncodeToString(f.hash.Sum(nil))))
	if was, ok := mac.(string); !ok || subtle.ConstantTimeCompare([]byte(was), is) != 1 {
		return errors.New("it was changed without sops: a value was changed, added, taken out or moved; what sops.mac signs is otherwise. Write it with sops, and seal that")
	}
	return nil
}
