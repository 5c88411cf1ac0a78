package threading

import (
	"slices"
	"time"

	"ticketgate/store"
	"ticketgate/threading/calendar"
)

// course is what a ticket's clock goes by: its service level, nil for none, and
// its channel's escalation, both counted in one calendar.
type course struct {
	level      *store.ServiceLevel
	escalation store.Escalation
	channelID  string
	ofChannel  string // the channel that the level is of; "": of the ticket, contact or company
	calendar   *calendar.Calendar
	turn       string // whose it is, one of the store.Responsible words
}

// respond is the time to answer, 0 for no aim; resolve that to end the matter.
func (c course) respond() time.Duration {
	if c.level == nil {
		return 0
	}
	return time.Duration(c.level.RespondMinutes) * time.Minute
}

func (c course) resolve() time.Duration {
	if c.level == nil {
		return 0
	}
	return time.Duration(c.level.ResolveMinutes) * time.Minute
}

func (c course) warn() time.Duration {
	if c.level == nil {
		return 0
	}
	return time.Duration(c.level.WarnMinutes) * time.Minute
}

// happening tells a clock what was said.
type happening struct {
	asked    bool // by the customer
	answered bool // to the customer, by an agent
	acted    bool // an agent did anything
}

// tick brings a clock up to now. It runs while it is our turn: then time is used of
// the whole matter and, while the customer waits, of the answer. The customer's
// word begins the time to answer, unless an answer is due already; an agent's answer
// ends it. What was used stays used while it is the customer's turn. A closed
// ticket's clock stands; reopened, it goes on.
func tick(c store.Clock, by course, what happening, now time.Time) store.Clock {
	c = used(c, by, now)
	if c.LevelID == "" { // what ran without a level counts for none
		c.Responding, c.Resolving = 0, 0
	}
	c.LevelID, c.OfChannel = "", by.ofChannel
	if by.level != nil {
		c.LevelID = by.level.ID
	}
	c.Closed = by.turn == store.ResponsibleNone
	if what.asked && !c.Waits {
		c = waits(c, true)
	}
	if what.answered || c.Closed {
		c = waits(c, false)
	}
	switch ours := by.turn == store.ResponsibleUs; {
	case !ours:
		c.Since, c.Quiet, c.EscalatedFrom = time.Time{}, time.Time{}, nil
	case c.Quiet.IsZero() || what.acted:
		c.Since, c.Quiet, c.EscalatedFrom = now, now, nil
	case c.Channel != by.channelID: // who has it now has his own time
		c.Since, c.Quiet = now, now
	default:
		c.Since = now
	}
	c.Channel = by.channelID
	return plan(c, by)
}

// used adds the time that ran since the last look.
func used(c store.Clock, by course, now time.Time) store.Clock {
	if c.Since.IsZero() {
		return c
	}
	ran := by.calendar.Between(c.Since, now)
	c.Resolving += ran
	if c.Waits {
		c.Responding += ran
	}
	return c
}

// waits begins or ends the customer's waiting for an answer.
func waits(c store.Clock, does bool) store.Clock {
	c.Waits, c.Responding, c.RespondWarned, c.RespondMissed, c.RespondBy = does, 0, false, false, time.Time{}
	return c
}

// plan says until when the customer is to be answered and the matter ended, and
// when there is something to be told or done next.
func plan(c store.Clock, by course) store.Clock {
	c.DueAt = time.Time{}
	if c.Since.IsZero() {
		c.RespondBy, c.ResolveBy = time.Time{}, time.Time{}
		return c
	}
	aim := time.Duration(0)
	if c.Waits {
		aim = by.respond()
	}
	c.RespondBy = until(c.RespondBy, c.Since, aim, c.Responding, by.calendar)
	c.ResolveBy = until(c.ResolveBy, c.Since, by.resolve(), c.Resolving, by.calendar)
	c.RespondMissed = c.RespondMissed && !c.RespondBy.After(c.Since) // a longer time has an end of its own
	c.ResolveMissed = c.ResolveMissed && !c.ResolveBy.After(c.Since)
	for _, s := range steps(c, by) {
		if c.DueAt.IsZero() || s.at.Before(c.DueAt) {
			c.DueAt = s.at
		}
	}
	return c
}

// until gives when an aim is used up; zero for none. One that is over stays when it
// was.
func until(was, since time.Time, aim, used time.Duration, cal *calendar.Calendar) time.Time {
	switch {
	case aim == 0:
		return time.Time{}
	case used >= aim && !was.IsZero() && !was.After(since):
		return was
	}
	return cal.Add(since, aim-used)
}

// step is something that a clock tells or does, and when.
type step struct {
	at   time.Time
	kind string
}

// The steps of a clock.
const (
	stepRespondWarning = "respond_warning"
	stepRespondBreach  = "respond_breach"
	stepResolveWarning = "resolve_warning"
	stepResolveBreach  = "resolve_breach"
	stepEscalation     = "escalation"
)

// steps gives what a running clock has still to tell and do.
func steps(c store.Clock, by course) []step {
	var list []step
	add := func(kind string, at time.Time, done bool) {
		if !done && !at.IsZero() {
			list = append(list, step{at, kind})
		}
	}
	if !c.RespondBy.IsZero() {
		if by.warn() > 0 {
			add(stepRespondWarning, by.calendar.Add(c.Since, by.respond()-c.Responding-by.warn()), c.RespondWarned || c.RespondMissed)
		}
		add(stepRespondBreach, c.RespondBy, c.RespondMissed)
	}
	if !c.ResolveBy.IsZero() {
		if by.warn() > 0 {
			add(stepResolveWarning, by.calendar.Add(c.Since, by.resolve()-c.Resolving-by.warn()), c.ResolveWarned || c.ResolveMissed)
		}
		add(stepResolveBreach, c.ResolveBy, c.ResolveMissed)
	}
	if by.escalation.AfterMinutes > 0 {
		after := time.Duration(by.escalation.AfterMinutes) * time.Minute
		add(stepEscalation, by.calendar.Add(c.Quiet, after), slices.Contains(c.EscalatedFrom, by.channelID))
	}
	return list
}

// noted notes that a step was told or done. A breach that is told leaves no warning
// to tell.
func noted(c store.Clock, kind, channelID string) store.Clock {
	switch kind {
	case stepRespondWarning:
		c.RespondWarned = true
	case stepRespondBreach:
		c.RespondMissed, c.Missed = true, true
	case stepResolveWarning:
		c.ResolveWarned = true
	case stepResolveBreach:
		c.ResolveMissed, c.Missed = true, true
	case stepEscalation:
		c.EscalatedFrom = append(slices.Clone(c.EscalatedFrom), channelID)
	}
	return c
}

// The states of a ticket under a service level.
const (
	levelGreen    = "green"
	levelAmber    = "amber" // warned
	levelRed      = "red"   // a time is over
	levelPaused   = "paused"
	levelMet      = "met" // closed in time
	levelBreached = "breached"
)

// levelState says how a clock stands.
func levelState(c store.Clock, now time.Time) string {
	over := func(at time.Time) bool { return !at.IsZero() && !now.Before(at) }
	switch {
	case c.Closed && c.Missed:
		return levelBreached
	case c.Closed:
		return levelMet
	case c.Since.IsZero():
		return levelPaused
	case over(c.RespondBy) || over(c.ResolveBy):
		return levelRed
	case c.Waits && c.RespondWarned || c.ResolveWarned:
		return levelAmber
	}
	return levelGreen
}
