package render

import (
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strconv"
	"strings"

	"k8s.io/apimachinery/pkg/runtime"
)

// operation is one of a JSON patch (RFC 6902).
type operation struct {
	op         string
	path, from []string
	value      any
}

func readOperation(document map[string]any) (o operation, err error) {
	o.op, _ = document["op"].(string)
	if o.path, err = pointer(document, "path"); err != nil {
		return o, err
	}
	var has bool
	switch o.op {
	case "add", "replace", "test":
		if o.value, has = document["value"]; !has {
			return o, fmt.Errorf("op %s needs a value", o.op)
		}
	case "move", "copy":
		o.from, err = pointer(document, "from")
	case "remove":
	default:
		err = fmt.Errorf("op %q is none of add, remove, replace, move, copy and test", o.op)
	}
	return o, err
}

// pointer reads a JSON pointer (RFC 6901). The whole object is no place that a patch may speak of.
func pointer(document map[string]any, field string) ([]string, error) {
	text, ok := document[field].(string)
	if !ok || !strings.HasPrefix(text, "/") {
		return nil, fmt.Errorf("%s must be a path such as /spec/replicas", field)
	}
	steps := strings.Split(text[1:], "/")
	for i := range steps {
		steps[i] = strings.NewReplacer("~1", "/", "~0", "~").Replace(steps[i])
	}
	return steps, nil
}

// operate applies operations to an object, which it may change, one after the other. failed is the index of the one that could
// not be.
func operate(object map[string]any, ops []operation) (result map[string]any, failed int, err error) {
	for i, o := range ops {
		if err := o.apply(object); err != nil {
			return nil, i, err
		}
		if o.op == "copy" { // the one that can grow without bound
			if err := fits(object); err != nil {
				return nil, i, err
			}
		}
	}
	return object, 0, nil
}

func (o operation) apply(object map[string]any) error {
	switch o.op {
	case "add":
		return change(object, o.path, adds(runtime.DeepCopyJSONValue(o.value)))
	case "replace":
		return change(object, o.path, replaces(runtime.DeepCopyJSONValue(o.value)))
	case "remove":
		return change(object, o.path, removes)
	case "test":
		value, err := find(object, o.path)
		if err == nil && !reflect.DeepEqual(value, o.value) {
			err = fmt.Errorf("%s is not what the test says", joined(o.path))
		}
		return err
	}
	value, err := find(object, o.from)
	if err != nil {
		return err
	}
	value = runtime.DeepCopyJSONValue(value)
	if o.op == "move" {
		if len(o.path) > len(o.from) && slices.Equal(o.from, o.path[:len(o.from)]) {
			return fmt.Errorf("%s cannot be moved into itself", joined(o.from))
		}
		if err := change(object, o.from, removes); err != nil {
			return err
		}
	}
	return change(object, o.path, adds(value))
}

func joined(path []string) string { return "/" + strings.Join(path, "/") }

// find is the value at a path.
func find(object map[string]any, path []string) (any, error) {
	var at any = object
	for i, step := range path {
		switch v := at.(type) {
		case map[string]any:
			inner, ok := v[step]
			if !ok {
				return nil, missing(path[:i+1])
			}
			at = inner
		case []any:
			n, err := index(step, len(v)-1)
			if err != nil {
				return nil, fmt.Errorf("%s: %w", joined(path[:i+1]), err)
			}
			at = v[n]
		default:
			return nil, missing(path[:i+1])
		}
	}
	return at, nil
}

func missing(path []string) error { return fmt.Errorf("there is no %s", joined(path)) }

// index reads a place in a list, last at most.
func index(step string, last int) (int, error) {
	n, err := strconv.Atoi(step)
	if err != nil || strconv.Itoa(n) != step || n < 0 {
		return 0, fmt.Errorf("%q is no place in a list", step)
	}
	if n > last {
		return 0, fmt.Errorf("the list has no place %d", n)
	}
	return n, nil
}

// edit changes what holds the last step of a path; of a list it gives the new one.
type edit struct {
	inMap  func(m map[string]any, key string) error
	inList func(l []any, step string) ([]any, error)
}

// change makes an edit at the end of a path. A list that gets another length is put back into what holds it.
func change(object map[string]any, path []string, e edit) error {
	holder, last := path[:len(path)-1], path[len(path)-1]
	at, err := find(object, holder)
	if err != nil {
		return err
	}
	switch v := at.(type) {
	case map[string]any:
		if err := e.inMap(v, last); err != nil {
			return fmt.Errorf("%s: %w", joined(path), err)
		}
		return nil
	case []any:
		l, err := e.inList(v, last)
		if err != nil {
			return fmt.Errorf("%s: %w", joined(path), err)
		}
		return change(object, holder, puts(l))
	}
	return missing(path)
}

// puts sets what is there, whatever it is.
func puts(value any) edit {
	return edit{
		func(m map[string]any, key string) error { m[key] = value; return nil },
		func(l []any, step string) ([]any, error) {
			n, err := index(step, len(l)-1)
			if err == nil {
				l[n] = value
			}
			return l, err
		},
	}
}

func adds(value any) edit {
	return edit{
		puts(value).inMap,
		func(l []any, step string) ([]any, error) {
			if step == "-" {
				return append(l, value), nil
			}
			n, err := index(step, len(l))
			if err != nil {
				return nil, err
			}
			return slices.Insert(l, n, value), nil
		},
	}
}

func replaces(value any) edit {
	e := puts(value)
	put := e.inMap
	e.inMap = func(m map[string]any, key string) error {
		if _, ok := m[key]; !ok {
			return errors.New("it is not there to be replaced")
		}
		return put(m, key)
	}
	return e
}

var removes = edit{
	func(m map[string]any, key string) error {
		if _, ok := m[key]; !ok {
			return errors.New("it is not there to be removed")
		}
		delete(m, key)
		return nil
	},
	func(l []any, step string) ([]any, error) {
		n, err := index(step, len(l)-1)
		if err != nil {
			return nil, err
		}
		return slices.Delete(l, n, n+1), nil
	},
}
