package apiserver

import (
	"bytes"
	"cmp"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"maps"
	"reflect"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/kube-openapi/pkg/common"
	"k8s.io/kube-openapi/pkg/validation/spec"
	kjson "sigs.k8s.io/json"

	"github.com/hanse-fleet/hanse/apiserver/openapi"
)

// maxWrongs is how much of what is wrong with one object is told.
const maxWrongs = 8

// fieldName is what a name looks like that is told though no kind has it: no password that lacks the space behind its colon, and no key.
var fieldName = regexp.MustCompile(`^[a-z][A-Za-z0-9]{0,39}$`)

// shapes tell what has not the form of its kind, by fields, indexes and types: the machinery's decoders and server-side apply say what they found,
// which is the password that somebody wrote in the wrong place.
type shapes map[string]common.OpenAPIDefinition

func newShapes() shapes {
	return openapi.Definitions(func(model string) spec.Ref { return spec.MustCreateRef(model) })
}

// form says what is wrong with an object in JSON, and repeats no value; empty: nothing is. Strict: a field that is not known is wrong.
func (s shapes) form(k kind, value []byte, strict bool) string {
	reader := json.NewDecoder(bytes.NewReader(value))
	reader.UseNumber()
	var object map[string]any
	if err := reader.Decode(&object); err != nil {
		return "it is no object"
	}
	model := k.new().(interface{ OpenAPIModelName() string }).OpenAPIModelName()
	w := wrongs{shapes: s, strict: strict}
	w.look("", s[model].Schema, object)
	if len(w.all) == 0 {
		w.decode(k.new(), value)
	}
	return strings.Join(w.all, "; ")
}

// wrongs is what is wrong with one object.
type wrongs struct {
	shapes shapes
	strict bool
	all    []string
}

func (w *wrongs) add(format string, args ...any) {
	if len(w.all) < maxWrongs {
		w.all = append(w.all, fmt.Sprintf(format, args...))
	}
}

// decode adds what only the type itself sees, and fields that are there twice.
func (w *wrongs) decode(into runtime.Object, value []byte) {
	strict, err := kjson.UnmarshalStrict(value, into)
	if err != nil {
		w.add("a field has another form than it wants")
	}
	for _, err := range strict {
		if w.strict || strings.HasPrefix(err.Error(), "duplicate") {
			w.add("%s", sayable(err.Error()))
		}
	}
	if m, err := meta.Accessor(into); err == nil && m.GetResourceVersion() != "" {
		if _, err := strconv.ParseUint(m.GetResourceVersion(), 10, 64); err != nil {
			w.add("metadata.resourceVersion must be a number")
		}
	}
}

// look compares a value with its schema.
func (w *wrongs) look(at string, schema spec.Schema, value any) {
	model := schema.Ref.String()
	if model != "" {
		schema = w.shapes[model].Schema
	}
	if len(schema.Type) == 0 || schema.Format == "int-or-string" {
		return
	}
	switch is, wants := typeOf(value), schema.Type[0]; {
	case is == "null":
	case is != wants && !(is == "integer" && wants == "number"):
		w.add("%s must be %s, and is %s", name(at), article(wants, schema.Format), article(is, ""))
	case is == "object":
		w.object(at, schema, value.(map[string]any))
	case is == "array":
		w.list(at, schema, value.([]any))
	case !hasFormat(value, schema.Format, model):
		w.add("%s must be %s, and is not", name(at), article(wants, cmp.Or(schema.Format, model)))
	}
}

// hasFormat says whether a value can be what its schema's format, or its model, says.
func hasFormat(value any, format, model string) bool {
	text := fmt.Sprint(value)
	var err error
	switch {
	case format == "byte":
		_, err = base64.StdEncoding.DecodeString(text)
	case format == "int32":
		_, err = strconv.ParseInt(text, 10, 32)
	case format == "date-time":
		_, err = time.Parse(time.RFC3339, text)
	case model == metav1.Duration{}.OpenAPIModelName():
		_, err = time.ParseDuration(text)
	}
	return err == nil
}

func (w *wrongs) object(at string, schema spec.Schema, value map[string]any) {
	for _, field := range slices.Sorted(maps.Keys(value)) {
		one, known := schema.Properties[field]
		switch {
		case known:
			w.look(strings.TrimPrefix(at+"."+field, "."), one, value[field])
		case schema.AdditionalProperties != nil && schema.AdditionalProperties.Schema != nil:
			w.look(at+"[…]", *schema.AdditionalProperties.Schema, value[field])
		case len(schema.Properties) == 0 || !w.strict:
		case fieldName.MatchString(field):
			w.add("unknown field %q", strings.TrimPrefix(at+"."+field, "."))
		default:
			w.add("%s has a field that it does not know, with a name that is no field's: is there a space behind each colon?", name(at))
		}
	}
}

func (w *wrongs) list(at string, schema spec.Schema, value []any) {
	if schema.Items == nil || schema.Items.Schema == nil {
		return
	}
	same := sameness(schema)
	seen := map[string]int{}
	for i, one := range value {
		w.look(fmt.Sprintf("%s[%d]", at, i), *schema.Items.Schema, one)
		if same == nil {
			continue
		}
		key := same(one)
		if first, twice := seen[key]; twice {
			w.add("%s[%d] is there already, as [%d]", at, i, first)
			continue
		}
		seen[key] = i
	}
}

// sameness makes of an element what no two of its list share; nil: they may be alike.
func sameness(schema spec.Schema) func(any) string {
	keys, _ := schema.Extensions["x-kubernetes-list-map-keys"].([]any)
	switch kind, _ := schema.Extensions.GetString("x-kubernetes-list-type"); kind {
	case "set":
		return text
	case "map":
		return func(one any) string {
			object, _ := one.(map[string]any)
			all := make([]any, len(keys))
			for i, key := range keys {
				all[i] = object[key.(string)]
			}
			return text(all)
		}
	}
	return nil
}

func text(value any) string {
	made, _ := json.Marshal(value) // it was read from JSON
	return string(made)
}

func typeOf(value any) string {
	switch value := value.(type) {
	case map[string]any:
		return "object"
	case []any:
		return "array"
	case string:
		return "string"
	case bool:
		return "boolean"
	case json.Number:
		if _, err := strconv.ParseInt(value.String(), 10, 64); err == nil {
			return "integer"
		}
		return "number"
	default:
		return "null"
	}
}

func article(kind, format string) string {
	switch {
	case format == "byte":
		return "a string (base64)"
	case format == "date-time":
		return "a time such as 2006-01-02T15:04:05Z"
	case format == "int32":
		return "an integer of 32 bits"
	case format == (metav1.Duration{}).OpenAPIModelName():
		return "a duration such as 1h30m"
	case kind == "object" || kind == "array" || kind == "integer":
		return "an " + kind
	default:
		return "a " + kind
	}
}

func name(at string) string {
	if at == "" {
		return "the object"
	}
	return at
}

// decoded is what the machinery says of a field that it does not know, or found twice.
var decoded = regexp.MustCompile(`^(?:json patch )?(unknown|duplicate) field "((?:\[\d+\]\.)?[a-z][A-Za-z0-9]{0,39}(?:\[\d+\]|\.[a-z][A-Za-z0-9]{0,39})*)"$`)

// sayable is what may be told of what a strict decoder says.
func sayable(text string) string {
	if found := decoded.FindStringSubmatch(text); found != nil {
		return fmt.Sprintf("%s field %q", found[1], found[2])
	}
	return "a field is there twice, or is not known and has a name that is no field's: is there a space behind each colon?"
}

// discreetOf is the kind of an object, where it is a discreet one.
func discreetOf(obj runtime.Object) (k kind, ok bool) {
	for _, k := range served() {
		if k.discreet && reflect.TypeOf(k.new()) == reflect.TypeOf(obj) {
			return k, true
		}
	}
	return kind{}, false
}
