package store

import (
	"context"
	"slices"
)

// A list of tickets is read in one of two ways. It is walked in its order, until
// enough tickets fit its conditions: quick where many do. Or what an index finds
// for one of the conditions is gathered and sorted: quick where few do. No
// statistics of a database tell well enough which of them suits an order and
// some conditions that have to do with each other. So a bounded count shows
// whether there is little to gather; else a bounded walk is tried before a long
// one of either kind.
//
// What a search finds is gathered where it is rare. What is frequent is looked
// for among the first tickets of the list, then among twice as many, and so on.

// Effort is how much a list reads in one way before it tries another. All ways
// give the same list.
type Effort struct {
	Few        int // tickets that are gathered rather than walked to
	Gather     int // tickets that are gathered at most
	Walk       int // tickets that are walked past before something else is tried
	Seen       int // tickets whose activities are gathered rather than walked to
	Found      int // activities whose tickets are gathered, as what a search found
	Activities int // activities that are gathered, likewise
	Block      int // tickets, or activities, that are searched first
}

// DefaultEffort is measured on a million tickets: a thousand of them are walked
// past in a millisecond, and gathered in three.
func DefaultEffort() Effort {
	return Effort{Few: 5000, Gather: 20000, Walk: 20000, Seen: 300, Found: 10000, Activities: 10000, Block: 64}
}

// lastBlock is how many are searched together at most.
const lastBlock = 4096

// ticketLister reads the places of a list.
type ticketLister struct {
	tx         *Tx
	order      ticketOrder
	conditions []condition
	size       *size // once it is known

	// A list that is read in blocks, one behind the other, is gathered once.
	blocks bool
	rest   *[]place
}

// size is how much there is to read.
type size struct {
	tickets int64 // of the desk, at most
	narrow  int   // which of the conditions finds the fewest; -1: none finds few
	found   int64 // how many it finds
}

// list gives the first places behind another one, in order.
func (l *ticketLister) list(ctx context.Context, from *place, n int) ([]place, error) {
	if l.rest != nil {
		return l.take(n), nil
	}
	if len(l.conditions) == 0 {
		return l.walk(ctx, from, n, 0)
	}
	if l.size == nil {
		s, err := l.measure(ctx)
		if err != nil {
			return nil, err
		}
		l.size = &s
	}
	effort := l.tx.db.opt.Effort
	few := l.size.narrow >= 0 && l.size.found <= int64(effort.Few)
	if !few && l.size.tickets > int64(effort.Walk) {
		places, err := l.walk(ctx, from, n, effort.Walk)
		if err != nil || len(places) == n {
			return places, err
		}
	}
	if l.size.narrow >= 0 && (few || l.size.tickets > int64(effort.Walk)) {
		return l.gatherBy(ctx, l.size.narrow, from, n)
	}
	return l.walk(ctx, from, n, 0)
}

// gatherBy gathers by one of the conditions.
func (l *ticketLister) gatherBy(ctx context.Context, narrow int, from *place, n int) ([]place, error) {
	others := without(l.conditions, narrow)
	if !l.blocks {
		return l.gather(ctx, l.conditions[narrow], others, from, n)
	}
	all, err := l.gather(ctx, l.conditions[narrow], others, from, l.tx.db.opt.Effort.Gather)
	l.rest = &all
	return l.take(n), err
}

// take gives the next of what was gathered.
func (l *ticketLister) take(n int) []place {
	n = min(n, len(*l.rest))
	block := (*l.rest)[:n]
	*l.rest = (*l.rest)[n:]
	return block
}

func without(all []condition, i int) []condition {
	return slices.Concat(all[:i], all[i+1:])
}

// measure counts what the indexes find, up to what may be gathered.
func (l *ticketLister) measure(ctx context.Context) (size, error) {
	var w where
	sql := `SELECT COALESCE((SELECT MAX(number) FROM tickets), 0) - COALESCE((SELECT MIN(number) FROM tickets), 0)`
	var counted []int
	for i, c := range l.conditions {
		if from, args := c.numbers(); from != "" {
			sql += `, (SELECT COUNT(*) FROM (SELECT 1 FROM (` + w.fill(from, args...) + `) AS one LIMIT ` + w.arg(l.tx.db.opt.Effort.Gather+1) + `) AS few)`
			counted = append(counted, i)
		}
	}
	counts := make([]int64, len(counted)+1)
	dest := make([]any, len(counts))
	for i := range counts {
		dest[i] = &counts[i]
	}
	err := l.tx.query(ctx, func(r Rows) error { return r.Scan(dest...) }, sql, w.args...)
	s := size{tickets: counts[0], narrow: -1, found: int64(l.tx.db.opt.Effort.Gather)}
	for i, n := range counts[1:] {
		if n <= s.found {
			s.narrow, s.found = counted[i], n
		}
	}
	return s, err
}

// walk reads along the index of the order, past at most so many tickets; 0: to
// the end.
func (l *ticketLister) walk(ctx context.Context, from *place, n, bound int) ([]place, error) {
	var w where
	table := `tickets`
	w.all(l.order.after(from))
	others := l.conditions
	if bound > 0 {
		// What is walked comes in its order, and passes the other conditions in it.
		// A span of the order says where the walk begins and ends.
		others = nil
		for _, c := range l.conditions {
			if c.column == l.order.column {
				w.add(c.sql, c.args...)
			} else {
				others = append(others, c)
			}
		}
		table = `(SELECT * FROM tickets` + w.sql() + l.order.sql(true) + ` LIMIT ` + w.arg(bound) + `) AS tickets`
		w.conditions = nil
	}
	w.all(others)
	sql := l.columns() + ` FROM ` + table + w.sql()
	if bound == 0 || l.tx.db.dialect.Reorder {
		sql += l.order.sql(true)
	}
	return l.places(ctx, sql+` LIMIT `+w.arg(n), w.args)
}

// gather reads what one condition finds, and sorts it.
func (l *ticketLister) gather(ctx context.Context, by condition, others []condition, from *place, n int) ([]place, error) {
	var w where
	numbers, args := by.numbers()
	// Some name a ticket several times.
	chosen := `WITH one (chosen) AS (` + w.fill(numbers, args...) + `), many AS (SELECT DISTINCT chosen FROM one) `
	w.add(`tickets.number = many.chosen`)
	w.all(others)
	w.all(l.order.after(from))
	// The order of the tables is that of the loops, where the database obeys.
	return l.places(ctx, chosen+l.columns()+` FROM many CROSS JOIN tickets`+w.sql()+l.order.sql(false)+` LIMIT `+w.arg(n), w.args)
}

func (l *ticketLister) columns() string {
	column := l.order.column
	if column == "number" {
		column = "tickets.number"
	}
	return `SELECT ` + column + `, tickets.number`
}

func (l *ticketLister) places(ctx context.Context, sql string, args []any) ([]place, error) {
	return list(ctx, l.tx, func(r Rows, p *place) error { return r.Scan(&p.key, &p.number) }, sql, args...)
}
