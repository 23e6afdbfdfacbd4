package express

import (
	"errors"
	"fmt"
	"reflect"
	"strings"
	"sync"

	"github.com/google/cel-go/cel"
	"github.com/google/cel-go/common/ast"
	"github.com/google/cel-go/common/types/ref"
	"github.com/google/cel-go/ext"
	lru "github.com/hashicorp/golang-lru/v2"
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

// compiled are the expressions that were asked for last. What one comes to depends on nothing else; whoever asks for one while it is compiled
// waits for that, and for no other.
var compiled = sync.OnceValue(func() *lru.Cache[string, func() compilation] {
	kept, err := lru.New[string, func() compilation](maxKept)
	if err != nil {
		panic(err) // only a size that is not positive is refused
	}
	return kept
})

type compilation struct {
	program cel.Program
	result  *cel.Type
	facts   bool
	err     error
}

func compile(expression string) compilation {
	if c, known := compiled().Get(expression); known {
		return c()
	}
	c := sync.OnceValue(func() compilation { return compileAnew(expression) })
	if first, known, _ := compiled().PeekOrAdd(expression, c); known {
		c = first
	}
	return c()
}

func compileAnew(expression string) (c compilation) {
	if len(expression) > MaxLength {
		return compilation{err: fmt.Errorf("it is longer than %d bytes", MaxLength)}
	}
	env, err := environment()
	if err != nil {
		return compilation{err: err}
	}
	checked, issues := env.Compile(expression)
	if issues.Err() != nil {
		return compilation{err: errors.New(firstIssue(issues))}
	}
	c.result, c.facts = checked.OutputType(), looksAtFacts(checked.NativeRep())
	c.program, c.err = env.Program(checked, cel.CostLimit(MaxCost))
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

// LooksAtFacts says that what an expression comes to may depend on the cluster's facts, which come and go. One that is wrong looks at nothing.
func LooksAtFacts(expression string) bool { return compile(expression).facts }

// looksAtFacts says that an expression uses the cluster otherwise than by another of its fields: by its facts, or as a whole.
func looksAtFacts(checked *ast.AST) bool {
	return len(ast.MatchDescendants(ast.NavigateAST(checked), func(e ast.NavigableExpr) bool {
		if e.Kind() != ast.IdentKind || e.AsIdent() != "cluster" {
			return false
		}
		parent, has := e.Parent()
		return !has || parent.Kind() != ast.SelectKind || parent.AsSelect().FieldName() == "facts"
	})) > 0
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
