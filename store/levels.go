package store

import (
	"context"
	"math"
	"slices"
	"time"
)

// Calendar says when the desk is open.
type Calendar struct {
	ID       string              `json:"id"`
	Name     string              `json:"name"`
	Timezone string              `json:"timezone"` // IANA name
	Hours    map[string][]string `json:"hours"`    // by mon to sun: ranges such as 09:00-17:00
	Holidays []string            `json:"holidays"` // 2026-12-25, 12-25 in every year, or two with a / between them
}

// ServiceLevel says how soon customers are answered and their matters ended, in
// minutes of its calendar.
type ServiceLevel struct {
	ID             string `json:"id"`
	Name           string `json:"name"`
	RespondMinutes int    `json:"respond_minutes"` // 0: no aim
	ResolveMinutes int    `json:"resolve_minutes"` // 0: no aim
	WarnMinutes    int    `json:"warn_minutes"`    // before the end of each; 0: no warning
	CalendarID     string `json:"calendar_id"`     // "": day and night
	ManagerID      string `json:"manager_id"`      // told of warnings and breaches; "": nobody more
}

// Escalation is what becomes of a ticket with which nothing happens in time.
type Escalation struct {
	AfterMinutes int      `json:"after_minutes"` // 0: never
	FreeOwner    bool     `json:"free_owner"`
	ToChannelID  string   `json:"to_channel_id"` // "": it stays
	Notify       []string `json:"notify"`        // agent ids
}

// PutCalendar adds or replaces a calendar; a name that another one has is a
// conflict (ReasonDuplicate), and so is another name for one that the condition of a
// rule names (ReasonInUse).
func (tx *Tx) PutCalendar(ctx context.Context, c Calendar) error {
	desk, err := tx.deskToChange(ctx)
	if err != nil {
		return err
	}
	if had := desk.Calendar(c.ID); had != nil && had.Name != c.Name {
		if err := desk.named(c.ID); err != nil {
			return err
		}
	}
	return tx.putThing(ctx, thingCalendar, c.ID, c.Name, c)
}

// DeleteCalendar removes a calendar; one that a service level counts by, or a rule, is
// a conflict (ReasonInUse).
func (tx *Tx) DeleteCalendar(ctx context.Context, id string) error {
	desk, err := tx.deskToChange(ctx)
	if err != nil {
		return err
	}
	for _, l := range desk.ServiceLevels {
		if l.CalendarID == id {
			return inUse("service level " + l.Name)
		}
	}
	if err := desk.ruled(id); err != nil {
		return err
	}
	return tx.deleteThing(ctx, thingCalendar, "calendar", id)
}

// PutServiceLevel adds or replaces a service level; a name that another one has is
// a conflict (ReasonDuplicate).
func (tx *Tx) PutServiceLevel(ctx context.Context, l ServiceLevel) error {
	return tx.putThing(ctx, thingLevel, l.ID, l.Name, l)
}

// DeleteServiceLevel removes a service level; one that a channel, contact, company
// or ticket names is a conflict (ReasonInUse).
func (tx *Tx) DeleteServiceLevel(ctx context.Context, id string) error {
	desk, err := tx.deskToChange(ctx)
	if err != nil {
		return err
	}
	for _, c := range desk.Channels {
		if c.ServiceLevelID == id {
			return inUse("channel " + c.Name)
		}
	}
	return tx.deleteThing(ctx, thingLevel, "service level", id,
		use{"a contact, a company or a ticket", `SELECT 1 FROM levels_of WHERE level_id = $1 LIMIT 1`})
}

// Calendar gives a calendar, or nil.
func (d *Desk) Calendar(id string) *Calendar {
	return thing(d.Calendars, id, func(c *Calendar) string { return c.ID })
}

// CalendarByName gives a calendar, or nil.
func (d *Desk) CalendarByName(name string) *Calendar {
	return thing(d.Calendars, name, func(c *Calendar) string { return c.Name })
}

// ServiceLevel gives a service level, or nil.
func (d *Desk) ServiceLevel(id string) *ServiceLevel {
	return thing(d.ServiceLevels, id, func(l *ServiceLevel) string { return l.ID })
}

// KeepsTime tells whether the clock of any ticket can run.
func (d *Desk) KeepsTime() bool {
	for i := range d.Channels {
		if d.Channels[i].Escalation.AfterMinutes > 0 {
			return true
		}
	}
	return len(d.ServiceLevels) > 0
}

// The things that may have a service level of their own.
const (
	LevelOfTicket  = "ticket"
	LevelOfContact = "contact"
	LevelOfCompany = "company"
)

// SetLevel gives a ticket (its number as text), contact or company a service level
// of its own; "" takes it away. It is false where it has that already.
func (tx *Tx) SetLevel(ctx context.Context, kind, id, levelID string) (bool, error) {
	if levelID == "" {
		n, err := tx.exec(ctx, `DELETE FROM levels_of WHERE kind = $1 AND id = $2`, kind, id)
		return n > 0, err
	}
	n, err := tx.exec(ctx, `INSERT INTO levels_of (kind, id, level_id) VALUES ($1, $2, $3)
		ON CONFLICT (kind, id) DO UPDATE SET level_id = excluded.level_id WHERE levels_of.level_id <> excluded.level_id`, kind, id, levelID)
	return n > 0, err
}

// LevelsOf gives the service levels that things of a kind have of their own, by id.
func (tx *Tx) LevelsOf(ctx context.Context, kind string, ids ...string) (map[string]string, error) {
	all := map[string]string{}
	if len(ids) == 0 {
		return all, nil
	}
	condition, args := tx.in("id", 2, ids)
	err := tx.query(ctx, func(r Rows) error {
		var id, level string
		err := r.Scan(&id, &level)
		all[id] = level
		return err
	}, `SELECT id, level_id FROM levels_of WHERE kind = $1 AND `+condition, append([]any{kind}, args...)...)
	return all, err
}

// inheritLevel gives a contact the service level of one that goes into it, where it
// has none of its own.
func (tx *Tx) inheritLevel(ctx context.Context, from, to string) error {
	own, err := tx.LevelsOf(ctx, LevelOfContact, from, to)
	if err != nil || own[from] == "" {
		return err
	}
	if own[to] == "" {
		if _, err := tx.SetLevel(ctx, LevelOfContact, to, own[from]); err != nil {
			return err
		}
	}
	_, err = tx.SetLevel(ctx, LevelOfContact, from, "")
	return err
}

// timed is the conflict of deleting an agent or channel that a service level or an
// escalation names, or nil.
func (d *Desk) timed(id string) error {
	for _, l := range d.ServiceLevels {
		if l.ManagerID == id {
			return inUse("service level " + l.Name)
		}
	}
	for _, c := range d.Channels {
		if c.Escalation.ToChannelID == id || slices.Contains(c.Escalation.Notify, id) {
			return inUse("channel " + c.Name)
		}
	}
	return nil
}

// Clock is how much of its time a ticket has used.
type Clock struct {
	Ticket    int64     `json:"-"`
	RespondBy time.Time `json:"-"` // zero: nobody waits, it stands, or there is no aim
	ResolveBy time.Time `json:"-"`
	DueAt     time.Time `json:"-"` // when something is to be said or done; zero: nothing

	LevelID       string        `json:"level,omitempty"`
	OfChannel     string        `json:"of_channel,omitempty"`     // whose level it is; "": the ticket's, contact's or company's
	Channel       string        `json:"channel,omitempty"`        // where it lay at the last look
	Since         time.Time     `json:"since,omitzero"`           // it runs; what it used is as of then. Zero: it stands
	Waits         bool          `json:"waits,omitempty"`          // the customer waits for an answer
	Responding    time.Duration `json:"responding,omitempty"`     // used of the time to answer
	Resolving     time.Duration `json:"resolving,omitempty"`      // used of the time to end it
	RespondWarned bool          `json:"respond_warned,omitempty"` // of this answer
	RespondMissed bool          `json:"respond_missed,omitempty"`
	ResolveWarned bool          `json:"resolve_warned,omitempty"`
	ResolveMissed bool          `json:"resolve_missed,omitempty"`
	Missed        bool          `json:"missed,omitempty"`    // anything, ever
	Quiet         time.Time     `json:"quiet,omitzero"`      // since when no agent did anything in our turn; zero: not our turn
	EscalatedFrom []string      `json:"escalated,omitempty"` // channels, in this silence
	Closed        bool          `json:"closed,omitempty"`
}

// never is how a respond_by of none is kept: behind all others.
const never = math.MaxInt64

// PutClock writes a ticket's clock, and the ticket's respond_by that lists are
// sorted by.
func (tx *Tx) PutClock(ctx context.Context, c Clock) error {
	err := tx.queue(ctx, `INSERT INTO clocks (ticket, respond_by, resolve_by, due_at, doc) VALUES ($1, $2, $3, $4, $5)
		ON CONFLICT (ticket) DO UPDATE SET respond_by = excluded.respond_by, resolve_by = excluded.resolve_by,
		due_at = excluded.due_at, doc = excluded.doc`, c.Ticket, us(c.RespondBy), us(c.ResolveBy), us(c.DueAt), toJSON(c))
	if err != nil {
		return err
	}
	return tx.sortByAnswer(ctx, c.Ticket, c.RespondBy)
}

// DeleteClock takes a ticket's clock away; one that is not there is no error.
func (tx *Tx) DeleteClock(ctx context.Context, ticket int64) error {
	if err := tx.queue(ctx, `DELETE FROM clocks WHERE ticket = $1`, ticket); err != nil {
		return err
	}
	return tx.sortByAnswer(ctx, ticket, time.Time{})
}

func (tx *Tx) sortByAnswer(ctx context.Context, ticket int64, by time.Time) error {
	return tx.queue(ctx, `UPDATE tickets SET respond_by = $2 WHERE number = $1 AND respond_by <> $2`, ticket, answerKey(by))
}

func answerKey(by time.Time) int64 {
	if by.IsZero() {
		return never
	}
	return us(by)
}

// answerColumn scans an answerKey.
type answerColumn struct{ t *time.Time }

// Scan implements sql.Scanner.
func (c answerColumn) Scan(src any) error {
	if src == int64(never) {
		*c.t = time.Time{}
		return nil
	}
	return at(c.t).Scan(src)
}

// Clocks gives the clocks of tickets that have one, by number.
func (tx *Tx) Clocks(ctx context.Context, numbers ...int64) (map[int64]Clock, error) {
	all := map[int64]Clock{}
	if len(numbers) == 0 {
		return all, nil
	}
	condition, args := tx.inNumbers("ticket", 1, numbers)
	err := tx.query(ctx, func(r Rows) error {
		var c Clock
		err := r.Scan(&c.Ticket, at(&c.RespondBy), at(&c.ResolveBy), at(&c.DueAt), doc(&c))
		all[c.Ticket] = c
		return err
	}, `SELECT ticket, respond_by, resolve_by, due_at, doc FROM clocks WHERE `+condition, args...)
	return all, err
}

// AnyClock tells whether any ticket has a clock.
func (tx *Tx) AnyClock(ctx context.Context) (bool, error) {
	n, err := tx.count(ctx, `SELECT 1 FROM clocks LIMIT 1`)
	return n > 0, err
}

// DueClock is a ticket whose clock has something to say, and since when.
type DueClock struct {
	Ticket int64
	At     time.Time
}

// DueClocks gives the tickets whose clocks have something to say by now, the first
// ones first, behind one of them, and at most limit.
func (tx *Tx) DueClocks(ctx context.Context, now time.Time, behind DueClock, limit int) ([]DueClock, error) {
	return list(ctx, tx, func(r Rows, c *DueClock) error { return r.Scan(&c.Ticket, at(&c.At)) },
		`SELECT ticket, due_at FROM clocks WHERE due_at > 0 AND due_at <= $1 AND (due_at, ticket) > ($2, $3)
		ORDER BY due_at, ticket LIMIT $4`, us(now), us(behind.At), behind.Ticket, limit)
}

// OpenTickets gives the numbers of open tickets behind a number, in their order
// and at most limit.
func (tx *Tx) OpenTickets(ctx context.Context, after int64, limit int) ([]int64, error) {
	return list(ctx, tx, func(r Rows, n *int64) error { return r.Scan(n) },
		`SELECT number FROM tickets WHERE number > $1 AND closed_at = 0 ORDER BY number LIMIT $2`, after, limit)
}

// metaCounted holds by what the clocks of all open tickets were counted, and how far.
const metaCounted = "clocks_counted"

// Counted gives by what the clocks were counted, and how far, as SetCounted kept it.
func (tx *Tx) Counted(ctx context.Context) (string, error) { return tx.Meta(ctx, metaCounted) }

// SetCounted keeps it; "" has all be counted anew.
func (tx *Tx) SetCounted(ctx context.Context, how string) error {
	return tx.SetMeta(ctx, metaCounted, how)
}

// Alarm reminds an agent of a ticket.
type Alarm struct {
	ID        string
	Ticket    int64
	AgentID   string
	At        time.Time
	Comment   string
	CreatedBy string
	CreatedAt time.Time
	DoneAt    time.Time // zero: it is still to come
}

const alarmColumns = `id, ticket, agent_id, at, comment, created_by, created_at, done_at`

func scanAlarm(r Rows, v *Alarm) error {
	return r.Scan(&v.ID, &v.Ticket, &v.AgentID, at(&v.At), &v.Comment, &v.CreatedBy, at(&v.CreatedAt), at(&v.DoneAt))
}

// PutAlarm adds an alarm, or replaces what it says; it stays with its ticket.
func (tx *Tx) PutAlarm(ctx context.Context, v Alarm) error {
	_, err := tx.exec(ctx, `INSERT INTO alarms (`+alarmColumns+`) VALUES ($1, $2, $3, $4, $5, $6, $7, $8)
		ON CONFLICT (id) DO UPDATE SET agent_id = excluded.agent_id, at = excluded.at, comment = excluded.comment,
		done_at = excluded.done_at`,
		v.ID, v.Ticket, v.AgentID, us(v.At), v.Comment, v.CreatedBy, us(v.CreatedAt), us(v.DoneAt))
	return err
}

// Alarm gives an alarm of a ticket.
func (tx *Tx) Alarm(ctx context.Context, ticket int64, id string) (Alarm, error) {
	return first(ctx, tx, "alarm", scanAlarm, `SELECT `+alarmColumns+` FROM alarms WHERE ticket = $1 AND id = $2`, ticket, id)
}

// Alarms lists the alarms of a ticket, the newest first.
func (tx *Tx) Alarms(ctx context.Context, ticket int64, from string, limit int) ([]Alarm, string, error) {
	var w where
	w.add(`ticket = ?`, ticket)
	if err := w.after(from, "alarms"); err != nil {
		return nil, "", err
	}
	limit = pageSize(limit)
	rows, err := list(ctx, tx, scanAlarm,
		`SELECT `+alarmColumns+` FROM alarms`+w.sql()+` ORDER BY id DESC LIMIT `+w.arg(limit+1), w.args...)
	rows, next := page(rows, limit, func(v Alarm) cursor { return cursor{Sort: "alarms", ID: v.ID} })
	return rows, next, err
}

// DeleteAlarm removes an alarm of a ticket.
func (tx *Tx) DeleteAlarm(ctx context.Context, ticket int64, id string) error {
	return tx.touched(ctx, "alarm", `DELETE FROM alarms WHERE ticket = $1 AND id = $2`, ticket, id)
}

// MoveAlarms puts the alarms of a ticket to another.
func (tx *Tx) MoveAlarms(ctx context.Context, from, to int64) error {
	return tx.queue(ctx, `UPDATE alarms SET ticket = $2 WHERE ticket = $1`, from, to)
}

// DueAlarms gives the alarms that are to go off by now, the first ones first,
// behind one of them, and at most limit.
func (tx *Tx) DueAlarms(ctx context.Context, now time.Time, behind Alarm, limit int) ([]Alarm, error) {
	return list(ctx, tx, scanAlarm, `SELECT `+alarmColumns+` FROM alarms WHERE done_at = 0 AND at <= $1 AND (at, id) > ($2, $3)
		ORDER BY at, id LIMIT $4`, us(now), us(behind.At), behind.ID, limit)
}

// EndAlarm says that an alarm went off. It is false where it did before: then
// another node told of it.
func (tx *Tx) EndAlarm(ctx context.Context, id string, at, now time.Time) (bool, error) {
	n, err := tx.exec(ctx, `UPDATE alarms SET done_at = $3 WHERE id = $1 AND done_at = 0 AND at = $2`, id, us(at), us(now))
	return n > 0, err
}
