package main

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"unicode"

	kjson "sigs.k8s.io/json"
)

// checkStrict holds an object of the fleet's own kinds against its Go type: every field must be known, and of the
// right form. The API would find the same; here the line is known.
func checkStrict(d document) error {
	if d.object["apiVersion"] != apiVersion {
		return usagef("%s: unknown apiVersion %v; the fleet's is %s", d.at("apiVersion"), d.object["apiVersion"], apiVersion)
	}
	k, ok := kindNamed(d.kind())
	if !ok {
		var names []string
		for _, k := range kinds() {
			names = append(names, k.name)
		}
		return usagef("%s: unknown kind %s%s", d.at("kind"), d.kind(), didYouMean(d.kind(), names))
	}
	if k.example == nil {
		return usagef("%s: a %s cannot be applied: %s", d.at("kind"), k.name, k.why)
	}
	data, err := json.Marshal(d.object)
	if err != nil {
		return fmt.Errorf("encode %s: %w", d.kind(), err)
	}
	example := k.example()
	unknown, err := kjson.UnmarshalStrict(data, example, kjson.DisallowUnknownFields)
	if err != nil {
		return wrongForm(d, err)
	}
	if len(unknown) > 0 {
		return unknownField(d, reflect.TypeOf(example), unknown[0])
	}
	return nil
}

func wrongForm(d document, err error) error {
	var form *json.UnmarshalTypeError
	if !errors.As(err, &form) {
		return usagef("%s: %s", d.at(), err)
	}
	// The path names embedded Go types too; fields of the API begin with a small letter.
	path := slices.DeleteFunc(strings.Split(form.Field, "."), func(step string) bool { return step == "" || unicode.IsUpper(rune(step[0])) })
	return usagef("%s: %s: it is a %s, not a %s", d.at(path...), strings.Join(path, "."), cmp.Or(map[string]string{"object": "map", "array": "list"}[form.Value], form.Value), formName(form.Type))
}

func formName(t reflect.Type) string {
	switch t.Kind() {
	case reflect.Bool:
		return "bool"
	case reflect.String:
		return "string"
	case reflect.Int32, reflect.Int64:
		return "number"
	case reflect.Slice:
		if t.Elem().Kind() == reflect.Uint8 {
			return "text in base64"
		}
		return "list"
	}
	return "map"
}

func unknownField(d document, t reflect.Type, err error) error {
	var field kjson.FieldError
	if !errors.As(err, &field) {
		return usagef("%s: %s", d.at(), err)
	}
	path := steps(field.FieldPath())
	last := len(path) - 1
	why := usagef("%s: %s: unknown field", d.at(path...), field.FieldPath())
	why.why += didYouMean(path[last], fieldsAt(t, path[:last]))
	return why
}

// steps takes apart a path as spec.waves[0].clusters.
func steps(path string) []string {
	path = strings.NewReplacer("[", ".", "]", "").Replace(path)
	return strings.Split(path, ".")
}

// fieldsAt lists the names of the fields that a type has at a path.
func fieldsAt(t reflect.Type, path []string) []string {
	for t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	if len(path) == 0 {
		return fieldNames(t)
	}
	switch t.Kind() {
	case reflect.Slice, reflect.Map:
		return fieldsAt(t.Elem(), path[1:])
	case reflect.Struct:
		if f, ok := fieldNamed(t, path[0]); ok {
			return fieldsAt(f, path[1:])
		}
	}
	return nil
}

func fieldNames(t reflect.Type) []string {
	var names []string
	eachField(t, func(name string, _ reflect.Type) { names = append(names, name) })
	return names
}

func fieldNamed(t reflect.Type, want string) (found reflect.Type, ok bool) {
	eachField(t, func(name string, of reflect.Type) {
		if name == want {
			found, ok = of, true
		}
	})
	return found, ok
}

// eachField calls do for every field of a struct by its JSON name, those of inlined structs included.
func eachField(t reflect.Type, do func(name string, of reflect.Type)) {
	if t.Kind() != reflect.Struct {
		return
	}
	for i := range t.NumField() {
		f := t.Field(i)
		name, _, _ := strings.Cut(f.Tag.Get("json"), ",")
		switch {
		case f.Anonymous && name == "":
			eachField(f.Type, do)
		case name != "" && name != "-":
			do(name, f.Type)
		}
	}
}
