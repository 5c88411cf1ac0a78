package threading

import (
	"errors"
	"regexp"
	"sync/atomic"

	"ticketgate/store"
	"ticketgate/threading/rules"
)

// rulebook is the desk's rules, read once for each version of the desk.
type rulebook struct {
	desk   *store.Desk // whose rules they are
	byWhen map[store.RuleWhen][]*rule
}

// rule is one that was read.
type rule struct {
	store.Rule
	condition  *rules.Condition // nil: it can't be read
	fault      error            // why
	pattern    *regexp.Regexp   // of what it extracts, or nil
	complained atomic.Bool      // the log has its error
}

// rulebook gives the rules of a desk that are switched on. What is read already
// is not read again; most versions of a desk have the same rules.
func (s *Service) rulebook(desk *store.Desk) *rulebook {
	last := s.rules.Load()
	if last != nil && last.desk == desk {
		return last
	}
	known := map[string]*rule{}
	if last != nil {
		for _, list := range last.byWhen {
			for _, r := range list {
				known[r.ID] = r
			}
		}
	}
	book := &rulebook{desk: desk, byWhen: map[store.RuleWhen][]*rule{}}
	for _, r := range desk.Rules {
		if r.Active {
			book.byWhen[r.When] = append(book.byWhen[r.When], s.readRule(r, known[r.ID]))
		}
	}
	s.rules.Store(book)
	return book
}

// readRule reads the condition of a rule, unless it is known already.
func (s *Service) readRule(r store.Rule, known *rule) *rule {
	read := &rule{Rule: r}
	if e := r.Actions.Extract; e != nil {
		read.pattern, _ = rules.Pattern(e.Pattern)
	}
	if known != nil && known.When == r.When && known.Condition == r.Condition {
		read.condition, read.fault = known.condition, known.fault
		read.complained.Store(known.complained.Load())
		return read
	}
	read.condition, read.fault = s.conditions.Compile(rules.Kind(r.When), r.Condition)
	return read
}

// uses tells whether any of the rules looks at a part of the facts.
func uses(list []*rule, part string) bool {
	for _, r := range list {
		if r.condition != nil && r.condition.Uses(part) {
			return true
		}
	}
	return false
}

// CheckRule is RuleChecker.Check.
func (s *Service) CheckRule(desk *store.Desk, r *store.Rule) error {
	return RuleChecker{conditions: s.conditions}.Check(desk, r)
}

// RuleChecker reads rules before they are kept. It is safe for concurrent use.
type RuleChecker struct {
	conditions *rules.Compiler
}

// NewRuleChecker makes one, for who has no Service.
func NewRuleChecker() (RuleChecker, error) {
	c, err := rules.NewCompiler()
	return RuleChecker{conditions: c}, err
}

// faultMessage gives what is wrong with a condition, for people.
func faultMessage(err error) string {
	if fault, ok := errors.AsType[*rules.Fault](err); ok {
		return fault.Error()
	}
	return "can't be read"
}
