package store

import (
	"context"
	"time"
)

// ReportBy says what a report counts by.
type ReportBy string

// What a report counts by.
const (
	ByChannel ReportBy = "channel"
	ByOwner   ReportBy = "owner"
	ByStatus  ReportBy = "status"
	ByDay     ReportBy = "day"
)

// ReportFilter chooses the tickets of a report, and the time that it is about: from
// Since on, and before Until.
type ReportFilter struct {
	VisibleTo    string // an agent's id: only what he may see; "": all
	ChannelID    string
	Since, Until time.Time
}

// ReportRow is what a report says of one channel, owner, status or day.
type ReportRow struct {
	Key            string // its id, "" for none; a day as 2006-01-02
	Created        int    // tickets that were made in the time
	Closed         int    // tickets that were closed in it
	ResolveMinutes int64  // sum over those, from making to closing
	Open           int    // tickets that are open now; of no day
	Worked         int    // minutes that were put down for the days of the time
}

// quarter is what times are counted by on the way to days: every zone's day begins
// at one.
const quarter = 15 * 60 * 1000000

// Report counts tickets by channel, owner, status or day of a time zone; those that
// went into others don't count. Rows come in no order.
func (tx *Tx) Report(ctx context.Context, by ReportBy, f ReportFilter, zone *time.Location) ([]ReportRow, error) {
	r := &report{tx: tx, by: by, filter: f, zone: zone, rows: map[string]*ReportRow{}}
	for _, part := range []func(context.Context) error{r.created, r.closed, r.open, r.worked} {
		if err := part(ctx); err != nil {
			return nil, err
		}
	}
	rows := make([]ReportRow, 0, len(r.rows))
	for _, row := range r.rows {
		rows = append(rows, *row)
	}
	return rows, nil
}

// report gathers the rows of one.
type report struct {
	tx     *Tx
	by     ReportBy
	filter ReportFilter
	zone   *time.Location
	rows   map[string]*ReportRow
}

func (r *report) row(key string) *ReportRow {
	if r.rows[key] == nil {
		r.rows[key] = &ReportRow{Key: key}
	}
	return r.rows[key]
}

// key is the column that a part groups by; of days the quarters of a time.
func (r *report) key(at string) string {
	switch r.by {
	case ByOwner:
		return "owner_id"
	case ByStatus:
		return "status_id"
	case ByDay:
		return at + " / 900000000"
	}
	return "channel_id"
}

// where begins the conditions of a part.
func (r *report) where(ctx context.Context) (w where, err error) {
	w.add(`merged_into = 0`)
	if r.filter.ChannelID != "" {
		w.add(`channel_id = ?`, r.filter.ChannelID)
	}
	return w, r.tx.onlyVisible(ctx, &w, r.filter.VisibleTo)
}

// sum adds what a query of a key and two numbers gives to the rows.
func (r *report) sum(ctx context.Context, at, sums, from string, w where, add func(row *ReportRow, n, minutes int64)) error {
	key := r.key(at)
	return r.tx.query(ctx, func(rows Rows) error {
		var text string
		var quarters, n, minutes int64
		var err error
		if r.by == ByDay {
			err = rows.Scan(&quarters, &n, &minutes)
			text = time.UnixMicro(quarters * quarter).In(r.zone).Format(time.DateOnly)
		} else {
			err = rows.Scan(&text, &n, &minutes)
		}
		add(r.row(text), n, minutes)
		return err
	}, `SELECT `+key+`, COUNT(*), CAST(`+sums+` AS BIGINT) FROM `+from+w.sql()+` GROUP BY `+key, w.args...)
}

func (r *report) created(ctx context.Context) error {
	w, err := r.where(ctx)
	if err != nil {
		return err
	}
	w.add(`created_at >= ? AND created_at < ?`, us(r.filter.Since), us(r.filter.Until))
	return r.sum(ctx, "created_at", "0", "tickets", w, func(row *ReportRow, n, _ int64) { row.Created += int(n) })
}

func (r *report) closed(ctx context.Context) error {
	w, err := r.where(ctx)
	if err != nil {
		return err
	}
	w.add(`closed_at >= ? AND closed_at < ?`, us(r.filter.Since), us(r.filter.Until))
	return r.sum(ctx, "closed_at", "SUM((closed_at - created_at) / 60000000)", "tickets", w, func(row *ReportRow, n, minutes int64) {
		row.Closed, row.ResolveMinutes = row.Closed+int(n), row.ResolveMinutes+minutes
	})
}

func (r *report) open(ctx context.Context) error {
	if r.by == ByDay {
		return nil
	}
	w, err := r.where(ctx)
	if err != nil {
		return err
	}
	w.add(`closed_at = 0`)
	return r.sum(ctx, "", "0", "tickets", w, func(row *ReportRow, n, _ int64) { row.Open += int(n) })
}

func (r *report) worked(ctx context.Context) error {
	w, err := r.where(ctx)
	if err != nil {
		return err
	}
	first := r.filter.Since.In(r.zone).Format(time.DateOnly)
	last := r.filter.Until.Add(-time.Microsecond).In(r.zone).Format(time.DateOnly)
	w.add(`day >= ? AND day <= ?`, first, last)
	key := r.key("")
	if r.by == ByDay {
		key = "day"
	}
	return r.tx.query(ctx, func(rows Rows) error {
		var text string
		var minutes int
		err := rows.Scan(&text, &minutes)
		r.row(text).Worked += minutes
		return err
	}, `SELECT `+key+`, CAST(SUM(minutes) AS BIGINT) FROM times JOIN tickets ON number = ticket`+w.sql()+` GROUP BY `+key, w.args...)
}
