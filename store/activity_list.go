package store

import (
	"context"
	"slices"
	"time"
)

// ActivityFilter chooses activities of all tickets; empty fields don't.
type ActivityFilter struct {
	VisibleTo string    // an agent's id: only those of tickets that he may see; "": all
	Query     string    // full text; each word or "quoted phrase" must occur
	MessageID string    // without brackets: of the mail that it is
	From      string    // an address that wrote it
	Since     time.Time // from this time on
	Cursor    string
	Limit     int // 1 to 200; 0: 50
}

// FindActivities lists activities, newest first. What was hidden is found by its
// Message-ID alone. A broken cursor is CodeInvalid with the field cursor.
func (tx *Tx) FindActivities(ctx context.Context, f ActivityFilter) ([]Activity, string, error) {
	c, ok, err := parseCursor(f.Cursor, "activities of all")
	if err != nil {
		return nil, "", err
	}
	l, err := tx.activities(ctx, f)
	if err != nil {
		return nil, "", err
	}
	var from *moment
	if ok {
		from = &moment{Searched{ID: c.ID}, c.Key}
	}
	limit := pageSize(f.Limit)
	var moments []moment
	switch {
	case f.MessageID != "":
		moments, err = l.ofMessage(ctx, f, from, limit+1)
	case f.Query != "" || f.From != "":
		moments, err = l.search(ctx, f.Query, f.From, from, limit+1)
	default:
		moments, err = l.list(ctx, from, limit+1)
	}
	if err != nil {
		return nil, "", err
	}
	moments, next := page(moments, limit, func(m moment) cursor {
		return cursor{Sort: "activities of all", Key: m.at, ID: m.ID}
	})
	activities, err := tx.activitiesAt(ctx, moments)
	return activities, next, err
}

// activities makes the lister of a filter, but for what is searched.
func (tx *Tx) activities(ctx context.Context, f ActivityFilter) (*activityLister, error) {
	l := &activityLister{tx: tx}
	if !f.Since.IsZero() {
		l.conditions = append(l.conditions, condition{sql: `created_at >= ?`, args: []any{us(f.Since)}})
	}
	seen, err := tx.visible(ctx, f.VisibleTo)
	if err != nil || len(seen) == 0 {
		return l, err
	}
	tickets := ticketLister{tx: tx, conditions: seen}
	s, err := tickets.measure(ctx)
	if s.narrow >= 0 {
		// To find each ticket among the few takes less than to read each one.
		l.within, l.tickets = seen[0], s.found
		numbers, args := l.within.numbers()
		l.conditions = append(l.conditions, condition{sql: `activities.ticket + 0 IN (` + numbers + `)`, args: args})
		return l, err
	}
	l.conditions = append(l.conditions, condition{args: seen[0].args,
		sql: `EXISTS (SELECT 1 FROM tickets WHERE tickets.number = activities.ticket AND ` + seen[0].sql + `)`})
	return l, err
}

// moment is where an activity stands in time, with what the search knows it by.
type moment struct {
	Searched
	at int64
}

// activityLister reads the moments of a list, newest first.
type activityLister struct {
	tx         *Tx
	conditions []condition
	within     condition // of the tickets that he who asks may see, where they are few
	tickets    int64     // how many these are
}

// list gives the first moments behind another one. Where few tickets are seen it
// gathers; else it reads along an index that holds all that is asked for but
// the channel.
func (l *activityLister) list(ctx context.Context, from *moment, n int) ([]moment, error) {
	if numbers, args := l.within.numbers(); numbers != "" && l.tickets <= int64(l.tx.db.opt.Effort.Seen) {
		return l.gather(ctx, `SELECT id FROM activities WHERE ticket IN (`+numbers+`)`, args, from, n)
	}
	return l.read(ctx, "", where{}, ` FROM activities`, ` ORDER BY created_at DESC, id DESC`, from, n)
}

// gather gives them of what a SELECT of ids finds, and sorts them.
func (l *activityLister) gather(ctx context.Context, ids string, args []any, from *moment, n int) ([]moment, error) {
	var w where
	with := `WITH one (chosen) AS (` + w.fill(ids, args...) + `), many AS (SELECT DISTINCT chosen FROM one) `
	w.add(`activities.id = many.chosen`)
	return l.read(ctx, with, w, ` FROM many CROSS JOIN activities`, ` ORDER BY created_at + 0 DESC, id DESC`, from, n)
}

func (l *activityLister) read(ctx context.Context, with string, w where, table, order string, from *moment, n int) ([]moment, error) {
	w.all(l.conditions)
	if from != nil {
		w.add(`(created_at, id) < (?, ?)`, from.at, from.ID)
	}
	sql := with + `SELECT id, ` + l.tx.db.dialect.Position + `, created_at` + table + w.sql() + order + ` LIMIT ` + w.arg(n)
	return list(ctx, l.tx, func(r Rows, m *moment) error { return r.Scan(&m.ID, &m.Position, &m.at) }, sql, w.args...)
}

// search gives those that match a query and that somebody wrote; "" is whoever.
func (l *activityLister) search(ctx context.Context, query, author string, from *moment, n int) ([]moment, error) {
	if author != "" {
		query += ` "` + author + `"` // the index finds who speaks of him: fewer to look at
	}
	phrases := searchPhrases(query)
	if len(phrases) == 0 {
		return nil, nil
	}
	expression := l.tx.db.dialect.Phrases(phrases)
	b := blocks[moment]{
		size:     l.tx.db.opt.Effort.Block,
		sparse:   sparseInAll,
		list:     func(from *moment, n int) ([]moment, error) { return l.list(ctx, from, n) },
		matching: func(of []moment) ([]moment, error) { return l.matching(ctx, expression, author, of) },
	}
	if l.within.from != "" {
		b.sparse = sparseInFew
	}
	return searched(from, n, b, l.within, func(guess bool, within condition) ([]moment, bool, error) {
		few, err := l.tx.few(ctx, expression, l.tx.db.opt.Effort.Activities, guess, within)
		if err != nil || !few.Few {
			return nil, false, err
		}
		found, err := l.wrote(author).gather(ctx, few.IDs, few.Args, from, n)
		return found, true, err
	})
}

// wrote is the lister of what somebody wrote; "" is whoever.
func (l *activityLister) wrote(author string) *activityLister {
	by := *l
	if author != "" {
		by.conditions = append(slices.Clone(l.conditions), condition{sql: l.tx.db.dialect.From("?"), args: []any{author}})
	}
	return &by
}

// matching gives those of some moments, in order, whose activity matches and is
// by an author.
func (l *activityLister) matching(ctx context.Context, expression, author string, of []moment) ([]moment, error) {
	searched := make([]Searched, len(of))
	for i, m := range of {
		searched[i] = m.Searched
	}
	hits, err := l.tx.searcher().Activities(ctx, l.tx.session, expression, searched)
	if err = l.tx.note(err); err != nil || len(hits) == 0 {
		return nil, err
	}
	if author != "" {
		var w where
		w.add(l.tx.db.dialect.In("id", "?"), l.tx.db.dialect.Strings(hits))
		w.add(l.tx.db.dialect.From("?"), author)
		hits, err = list(ctx, l.tx, func(r Rows, id *string) error { return r.Scan(id) }, `SELECT id FROM activities`+w.sql(), w.args...)
	}
	return those(of, hits, func(m moment) string { return m.ID }), err
}

// maxSharing is how many activities with one Message-ID are looked at.
const maxSharing = 1000

// ofMessage gives those that are a mail, by its Message-ID. Two ids may share a
// hash. That a mail only named the id is not asked for.
func (l *activityLister) ofMessage(ctx context.Context, f ActivityFilter, from *moment, n int) ([]moment, error) {
	found, err := l.wrote(f.From).gather(ctx, `SELECT activity_id FROM message_refs WHERE hash = ? AND message_id = ? AND kind <> 'named'`,
		[]any{refHash(f.MessageID), f.MessageID}, from, maxSharing)
	if err == nil && f.Query != "" {
		phrases := searchPhrases(f.Query)
		if len(phrases) == 0 {
			return nil, nil
		}
		found, err = l.matching(ctx, l.tx.db.dialect.Phrases(phrases), "", found)
	}
	return found[:min(len(found), n)], err
}

// activitiesAt gives the activities of some moments, in that order.
func (tx *Tx) activitiesAt(ctx context.Context, moments []moment) ([]Activity, error) {
	if len(moments) == 0 {
		return nil, nil
	}
	ids := make([]string, len(moments))
	for i, m := range moments {
		ids[i] = m.ID
	}
	return list(ctx, tx, scanActivity, `SELECT `+activityColumns+` FROM activities WHERE `+tx.db.dialect.In("id", "$1")+
		` ORDER BY created_at + 0 DESC, id DESC`, tx.db.dialect.Strings(ids))
}
