package express

import (
	"errors"
	"fmt"
	"reflect"
	"strings"
	"sync"

	"github.com/google/cel-go/cel"
	"github.com/google/cel-go/common/types/ref"
	"github.com/google/cel-go/ext"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/types/known/structpb"

	"github.com/hanse-fleet/hanse/api/v1alpha1"
)

// Bounds of an expression, in bytes, in CEL's units of cost, and of what it comes to, as JSON, in bytes.
const (
	MaxLength = v1alpha1.MaxExpression
	MaxCost   = 100_000
	MaxResult = 16 << 10
)

// MaxExpressions is how many a bundle's overrides may have, beside the one of its placement. As each has its own cost at most, all of
// them together have a bound, too, for each cluster.
const MaxExpressions = 64

// maxKept is how many compiled expressions are kept.
const maxKept = 1024

var environment = sync.OnceValues(func() (*cel.Env, error) {
	return cel.NewEnv(
		ext.NativeTypes(reflect.TypeFor[Subject](), reflect.TypeFor[Taint](), reflect.TypeFor[Facts](), ext.ParseStructTags(true)),
		ext.Strings(ext.StringsVersion(4)), ext.Sets(),
		cel.Variable("cluster", cel.ObjectType("express.Subject")),
		cel.ParserExpressionSizeLimit(MaxLength),
	)
})

// compiled remembers programs by their expression. They depend on nothing else.
var compiled struct {
	sync.Mutex
	by map[string]compilation
}

type compilation struct {
	program cel.Program
	result  *cel.Type
	err     error
}

func compile(expression string) compilation {
	compiled.Lock()
	defer compiled.Unlock()
	c, known := compiled.by[expression]
	if known {
		return c
	}
	if c = compileAnew(expression); compiled.by == nil || len(compiled.by) >= maxKept {
		compiled.by = map[string]compilation{}
	}
	compiled.by[expression] = c
	return c
}

func compileAnew(expression string) (c compilation) {
	if len(expression) > MaxLength {
		return compilation{err: fmt.Errorf("it is longer than %d bytes", MaxLength)}
	}
	env, err := environment()
	if err != nil {
		return compilation{err: err}
	}
	ast, issues := env.Compile(expression)
	if issues.Err() != nil {
		return compilation{err: errors.New(firstIssue(issues))}
	}
	c.result = ast.OutputType()
	c.program, c.err = env.Program(ast, cel.CostLimit(MaxCost))
	return c
}

// firstIssue is what is wrong, and where, without the picture of the place.
func firstIssue(issues *cel.Issues) string {
	for _, e := range issues.Errors() {
		return fmt.Sprintf("%s, at character %d", e.Message, e.Location.Column()+1)
	}
	return issues.Err().Error()
}

// Check says what is wrong with an expression, whatever the cluster.
func Check(expression string) error { return compile(expression).err }

// CheckCondition is Check for an expression that is to be true or false.
func CheckCondition(expression string) error {
	c := compile(expression)
	if c.err == nil && !c.result.IsExactType(cel.BoolType) && !c.result.IsExactType(cel.DynType) {
		return fmt.Errorf("it comes to %s, and is to be true or false", c.result)
	}
	return c.err
}

// Holds says whether an expression is true of a cluster.
func Holds(expression string, of Subject) (bool, error) {
	v, err := evaluate(expression, of)
	if err != nil {
		return false, err
	}
	is, ok := v.Value().(bool)
	if !ok {
		return false, fmt.Errorf("it comes to %s, and is to be true or false", v.Type().TypeName())
	}
	return is, nil
}

// JSON is what an expression comes to for a cluster.
func JSON(expression string, of Subject) ([]byte, error) {
	v, err := evaluate(expression, of)
	if err != nil {
		return nil, err
	}
	native, err := v.ConvertToNative(reflect.TypeFor[*structpb.Value]())
	if err != nil {
		return nil, fmt.Errorf("what it comes to is no JSON: %w", err)
	}
	data, err := protojson.Marshal(native.(*structpb.Value))
	if err == nil && len(data) > MaxResult {
		err = fmt.Errorf("it comes to more than %d bytes", MaxResult)
	}
	return data, err
}

func evaluate(expression string, of Subject) (ref.Val, error) {
	c := compile(expression)
	if c.err != nil {
		return nil, c.err
	}
	v, _, err := c.program.Eval(map[string]any{"cluster": &of})
	if err != nil && strings.Contains(err.Error(), "cost limit exceeded") {
		return nil, fmt.Errorf("it costs more than %d units of CEL; look at fewer things in it", MaxCost)
	}
	if err != nil {
		return nil, errors.New(strings.ReplaceAll(err.Error(), "no such key: ", "there is no "))
	}
	return v, nil
}
