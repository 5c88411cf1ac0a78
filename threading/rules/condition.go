// Package rules reads and runs the conditions of the desk's rules: expressions
// in CEL (github.com/google/cel-spec) over a mail or a ticket. They have no
// effects and no I/O, and are bounded in every way: how long an expression is,
// what it may look at, how much it may cost, how long it may run.
package rules

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"regexp"
	"regexp/syntax"
	"strings"

	"github.com/google/cel-go/cel"
	"github.com/google/cel-go/common/ast"
	"github.com/google/cel-go/common/types"
	"github.com/google/cel-go/common/types/ref"
	"github.com/google/cel-go/ext"
	"github.com/google/cel-go/interpreter"
)

// Bounds of one condition.
const (
	MaxCondition = 4000    // characters
	maxNodes     = 1000    // of the expression, after its macros were expanded
	maxNesting   = 50      // of its parts
	maxLoops     = 2       // within each other
	maxRegex     = 300     // instructions of a pattern
	maxCost      = 200_000 // units of CEL's cost of one look
	checkEvery   = 100     // turns of a loop between two looks at the clock
)

// Kind says when a rule looks, and so what its condition may be about.
type Kind string

// The kinds.
const (
	OnIntake Kind = "intake" // message, contact, company, ticket, activity, time
	OnChange Kind = "change" // all but message
	OnTime   Kind = "time"   // neither message nor activity
)

// parts are the variables of a condition and their types.
var parts = map[string]*cel.Type{
	"message": cel.ObjectType("rules.Message"), "contact": cel.ObjectType("rules.Contact"), "company": cel.ObjectType("rules.Company"),
	"ticket": cel.ObjectType("rules.Ticket"), "activity": cel.ObjectType("rules.Activity"), "time": cel.ObjectType("rules.Moment"),
}

// visible are the parts that a kind of rule may look at.
func (k Kind) visible() []string {
	switch k {
	case OnIntake:
		return []string{"message", "contact", "company", "ticket", "activity", "time"}
	case OnChange:
		return []string{"contact", "company", "ticket", "activity", "time"}
	}
	return []string{"contact", "company", "ticket", "time"}
}

// Fault is what is wrong with a condition, and where.
type Fault struct {
	Line, Column int // from 1; 0: it is about the whole
	Message      string
}

// Error tells place and message, fit for one line.
func (f *Fault) Error() string {
	if f.Line == 0 {
		return f.Message
	}
	return fmt.Sprintf("line %d, column %d: %s", f.Line, f.Column, f.Message)
}

// ErrOverLimit is the error of a condition that costs too much or takes too long.
var ErrOverLimit = errors.New("the condition costs too much")

// Compiler reads conditions. It is safe for concurrent use.
type Compiler struct {
	envs map[Kind]*cel.Env
}

// NewCompiler makes one; it takes some milliseconds.
func NewCompiler() (*Compiler, error) {
	c := &Compiler{envs: map[Kind]*cel.Env{}}
	for _, k := range []Kind{OnIntake, OnChange, OnTime} {
		env, err := newEnv(k)
		if err != nil {
			return nil, fmt.Errorf("conditions of %s rules: %w", k, err)
		}
		c.envs[k] = env
	}
	return c, nil
}

func newEnv(k Kind) (*cel.Env, error) {
	options := []cel.EnvOption{
		cel.ParserExpressionSizeLimit(MaxCondition), cel.ParserRecursionLimit(maxNesting), cel.ExpressionNodeLimit(maxNodes),
		cel.ExtendedValidations(),
		cel.ASTValidators(cel.ValidateComprehensionNestingLimit(maxLoops)),
		ext.NativeTypes(ext.ParseStructTags(true), reflect.TypeFor[Message](), reflect.TypeFor[Contact](), reflect.TypeFor[Company](),
			reflect.TypeFor[Ticket](), reflect.TypeFor[Activity](), reflect.TypeFor[Moment]()),
	}
	for _, name := range k.visible() {
		options = append(options, cel.Variable(name, parts[name]))
	}
	options = append(append(options, functions()...), businessTime()...)
	return cel.NewEnv(options...)
}

// functions are what conditions have beside CEL's own: lower and domain of a
// string, and the values of a header field.
func functions() []cel.EnvOption {
	text := func(name string, of func(string) string) cel.EnvOption {
		return cel.Function(name, cel.MemberOverload("string_"+name, []*cel.Type{cel.StringType}, cel.StringType,
			cel.UnaryBinding(func(v ref.Val) ref.Val { return types.String(of(string(v.(types.String)))) })))
	}
	header := func(name string, in func(*Message) map[string][]string) cel.EnvOption {
		return cel.Function(name, cel.MemberOverload("message_"+name, []*cel.Type{parts["message"], cel.StringType}, cel.ListType(cel.StringType),
			cel.BinaryBinding(func(m, field ref.Val) ref.Val {
				message, ok := m.Value().(*Message)
				if !ok {
					return types.NewErr("no header")
				}
				return types.NewStringList(types.DefaultTypeAdapter, in(message)[strings.ToLower(string(field.(types.String)))])
			})))
	}
	return []cel.EnvOption{
		text("lower", strings.ToLower),
		text("domain", func(s string) string { return s[strings.LastIndexByte(s, '@')+1:] }),
		header("header", func(m *Message) map[string][]string { return m.Headers }),
		header("trusted", func(m *Message) map[string][]string { return m.Trusted }),
	}
}

// costs prices our own functions as what they are: a walk over their text.
type costs struct{}

func (costs) CallCost(function, _ string, args []ref.Val, _ ref.Val) *uint64 {
	cost := uint64(1)
	switch text, ok := args[0].(types.String); {
	case ok && (function == "lower" || function == "domain"):
		cost += uint64(len(text)) / 10
	case function == openFunction || function == minutesFunction:
		cost = costOfCounting(args)
	case function != "header" && function != "trusted":
		return nil
	}
	return &cost
}

// Condition is one that was read. It is safe for concurrent use.
type Condition struct {
	program   cel.Program // nil: it always holds
	adapter   types.Adapter
	uses      map[string]bool
	calendars []Named
	loops     bool // only a loop can be ended early
}

// Compile reads a condition; an empty one always holds. The error is a *Fault:
// a wrong word, field or type, no yes or no, or over a bound.
func (c *Compiler) Compile(k Kind, text string) (condition *Condition, err error) {
	defer func() { // a parser's fault is the condition's, not the desk's
		if r := recover(); r != nil {
			condition, err = nil, &Fault{Message: "the condition can't be read"}
		}
	}()
	if strings.TrimSpace(text) == "" {
		return &Condition{}, nil
	}
	env, ok := c.envs[k]
	if !ok {
		return nil, &Fault{Message: "there is no such kind of rule"}
	}
	if len([]rune(text)) > MaxCondition {
		return nil, &Fault{Message: fmt.Sprintf("is longer than %d characters", MaxCondition)}
	}
	tree, issues := env.Compile(text)
	if issues.Err() != nil {
		return nil, faultOf(issues)
	}
	if !tree.OutputType().IsExactType(cel.BoolType) {
		return nil, &Fault{Message: "must be true or false, and is a " + tree.OutputType().String()}
	}
	if fault := badPattern(tree); fault != nil {
		return nil, fault
	}
	calendars, fault := namedCalendars(tree)
	if fault != nil {
		return nil, fault
	}
	program, err := env.Program(tree, cel.EvalOptions(cel.OptOptimize), cel.CostLimit(maxCost), cel.CostTracking(costs{}),
		cel.InterruptCheckFrequency(checkEvery))
	if err != nil {
		return nil, &Fault{Message: oneLine(err.Error())}
	}
	loops := ast.MatchDescendants(ast.NavigateAST(tree.NativeRep()), ast.KindMatcher(ast.ComprehensionKind))
	return &Condition{program: program, adapter: env.CELTypeAdapter(), uses: words(tree), calendars: calendars, loops: len(loops) > 0}, nil
}

// faultOf gives the first thing that is wrong.
func faultOf(issues *cel.Issues) *Fault {
	for _, e := range issues.Errors() {
		return &Fault{Line: e.Location.Line(), Column: e.Location.Column() + 1, Message: oneLine(e.Message)}
	}
	return &Fault{Message: "can't be read"}
}

// oneLine bounds a message, which may quote what was typed.
func oneLine(message string) string {
	message, _, _ = strings.Cut(message, "\n")
	if len(message) > 200 {
		message = strings.ToValidUTF8(message[:200], "") + "..."
	}
	return message
}

// badPattern finds a pattern that is not written down, or too large: one that is
// made of a mail's own words could be as large as the mail, and would be read
// anew each time. (CEL has such a limit, which trips over counted repetitions.)
func badPattern(tree *cel.Ast) *Fault {
	root := ast.NavigateAST(tree.NativeRep())
	for _, call := range ast.MatchDescendants(root, ast.FunctionMatcher("matches")) {
		args := call.AsCall().Args()
		if len(args) == 0 {
			continue
		}
		at := tree.NativeRep().SourceInfo().GetStartLocation(call.ID())
		fault := &Fault{Line: at.Line(), Column: at.Column() + 1}
		pattern := args[len(args)-1]
		if pattern.Kind() != ast.LiteralKind {
			fault.Message = "the pattern of matches must be a text in quotes"
			return fault
		}
		if text, ok := pattern.AsLiteral().Value().(string); ok && patternSize(text) > maxRegex {
			fault.Message = "the pattern of matches is too large"
			return fault
		}
	}
	return nil
}

// patternSize gives the instructions of a pattern; one that can't be read was
// refused before.
func patternSize(pattern string) int {
	tree, err := syntax.Parse(pattern, syntax.Perl)
	if err != nil {
		return 0
	}
	program, err := syntax.Compile(tree.Simplify())
	if err != nil {
		return 0
	}
	return len(program.Inst)
}

// words gives the names of parts, fields and functions in an expression.
func words(tree *cel.Ast) map[string]bool {
	names := map[string]bool{}
	root := ast.NavigateAST(tree.NativeRep())
	for _, e := range ast.MatchDescendants(root, ast.AllMatcher()) {
		switch e.Kind() {
		case ast.IdentKind:
			names[e.AsIdent()] = true
		case ast.SelectKind:
			names[e.AsSelect().FieldName()] = true
		case ast.CallKind:
			names[e.AsCall().FunctionName()] = true
		}
	}
	return names
}

// Uses tells whether the condition may look at a part, such as company, or at a
// field or function of this name.
func (c *Condition) Uses(word string) bool { return c.uses[word] }

// Holds looks whether the condition holds, and gives what that cost. An error
// is the condition's: a list that is shorter than it thought, a number out of
// range, or ErrOverLimit. The end of ctx ends a loop early, as ErrOverLimit.
func (c *Condition) Holds(ctx context.Context, f *Facts) (holds bool, cost uint64, err error) {
	if c.program == nil {
		return true, 0, nil
	}
	out, details, err := c.eval(ctx, f.variables(c.adapter))
	if details != nil {
		if actual := details.ActualCost(); actual != nil {
			cost = *actual
		}
	}
	if err != nil {
		return false, cost, classified(err)
	}
	yes, ok := out.(types.Bool)
	return ok && bool(yes), cost, nil
}

func (c *Condition) eval(ctx context.Context, variables map[string]any) (ref.Val, *cel.EvalDetails, error) {
	if c.loops {
		return c.program.ContextEval(ctx, variables)
	}
	return c.program.Eval(variables)
}

// classified tells a condition that went over its bounds from one that is wrong.
func classified(err error) error {
	if _, ok := errors.AsType[interpreter.EvalCancelledError](err); ok || errors.Is(err, interpreter.InterruptError{}) {
		return ErrOverLimit
	}
	return errors.New(oneLine(err.Error()))
}

// variables gives the parts by name, made ready once for all conditions.
func (f *Facts) variables(adapter types.Adapter) map[string]any {
	if f.ready != nil {
		return f.ready
	}
	f.ready = map[string]any{"time": adapter.NativeToValue(&f.Time)}
	if f.Message != nil {
		f.ready["message"] = adapter.NativeToValue(f.Message)
	}
	if f.Contact != nil {
		f.ready["contact"] = adapter.NativeToValue(f.Contact)
	}
	if f.Company != nil {
		f.ready["company"] = adapter.NativeToValue(f.Company)
	}
	if f.Ticket != nil {
		f.ready["ticket"] = adapter.NativeToValue(f.Ticket)
	}
	if f.Activity != nil {
		f.ready["activity"] = adapter.NativeToValue(f.Activity)
	}
	return f.ready
}

// Pattern reads a pattern (RE2) that takes something out of a mail. The error is
// fit for people: it can't be read, is too large, or matches nothing at all.
func Pattern(text string) (*regexp.Regexp, error) {
	pattern, err := regexp.Compile(text)
	switch {
	case err != nil:
		return nil, errors.New("is no pattern of RE2")
	case patternSize(text) > maxRegex:
		return nil, errors.New("is too large")
	case pattern.MatchString(""):
		return nil, errors.New("matches nothing at all")
	}
	return pattern, nil
}
