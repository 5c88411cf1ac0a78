package rules

import (
	"time"

	"github.com/google/cel-go/cel"
	"github.com/google/cel-go/common/ast"
	"github.com/google/cel-go/common/types"
	"github.com/google/cel-go/common/types/ref"
)

// The functions of time that count by a calendar, which they name first.
const (
	openFunction    = "open"
	minutesFunction = "business_minutes"
)

// costOfDay is what a day costs that a calendar looks at.
const costOfDay = 2

// mostDays is how many days calendars look at; a little more than ten years.
const mostDays = 3660

// Named is a calendar that a condition names, and where.
type Named struct {
	Name         string
	Line, Column int
}

// Calendars gives the calendars that the condition names, each time that it does.
func (c *Condition) Calendars() []Named { return c.calendars }

// businessTime are the functions of time that ask for working hours.
func businessTime() []cel.EnvOption {
	return []cel.EnvOption{
		cel.Function(openFunction, cel.MemberOverload("time_open", []*cel.Type{parts["time"], cel.StringType}, cel.BoolType,
			cel.BinaryBinding(func(now, name ref.Val) ref.Val {
				moment, hours, err := hoursOf(now, name)
				if err != nil {
					return err
				}
				return types.Bool(hours.Open(moment.Now))
			}))),
		cel.Function(minutesFunction, cel.MemberOverload("time_business_minutes",
			[]*cel.Type{parts["time"], cel.StringType, cel.TimestampType}, cel.IntType,
			cel.FunctionBinding(func(args ...ref.Val) ref.Val {
				moment, hours, err := hoursOf(args[0], args[1])
				since, ok := args[2].(types.Timestamp)
				switch {
				case err != nil:
					return err
				case !ok || since.Unix() <= 0: // a field that is empty is shown as 1970
					return types.Int(-1)
				}
				return types.Int(hours.Between(since.Time, moment.Now) / time.Minute)
			}))),
	}
}

// hoursOf finds a calendar by its name.
func hoursOf(now, name ref.Val) (*Moment, Hours, ref.Val) {
	moment, ok := now.Value().(*Moment)
	if !ok || moment.Calendar == nil {
		return nil, nil, types.NewErr("there are no calendars")
	}
	hours := moment.Calendar(string(name.(types.String)))
	if hours == nil {
		return nil, nil, types.NewErr("there is no calendar that can be read of this name")
	}
	return moment, hours, nil
}

// costOfCounting prices a look at a calendar by its days.
func costOfCounting(args []ref.Val) uint64 {
	moment, ok := args[0].Value().(*Moment)
	since, timed := args[len(args)-1].(types.Timestamp)
	if !ok || !timed {
		return costOfDay
	}
	days := int64(moment.Now.Sub(since.Time).Hours() / 24)
	return 1 + costOfDay*uint64(min(max(days, 0), mostDays)+1)
}

// namedCalendars finds the calendars of an expression. Each must stand in quotes, so
// that none that is named can be taken away unseen.
func namedCalendars(tree *cel.Ast) ([]Named, *Fault) {
	var named []Named
	root := ast.NavigateAST(tree.NativeRep())
	for _, function := range []string{openFunction, minutesFunction} {
		for _, call := range ast.MatchDescendants(root, ast.FunctionMatcher(function)) {
			at := tree.NativeRep().SourceInfo().GetStartLocation(call.ID())
			one := Named{Line: at.Line(), Column: at.Column() + 1}
			name := call.AsCall().Args()[0]
			if name.Kind() != ast.LiteralKind {
				return nil, &Fault{Line: one.Line, Column: one.Column, Message: "the name of the calendar must be a text in quotes"}
			}
			one.Name, _ = name.AsLiteral().Value().(string)
			named = append(named, one)
		}
	}
	return named, nil
}
