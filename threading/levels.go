package threading

import (
	"context"
	"fmt"
	"slices"
	"strconv"

	"ticketgate/store"
	"ticketgate/threading/calendar"
)

// Bounds of a service level, in minutes.
const (
	maxLevelMinutes = 366 * 24 * 60
	maxParents      = 10 // companies above one that are asked for their level
)

// CheckServiceLevel says what is wrong with a service level: invalid, with the
// field.
func CheckServiceLevel(desk *store.Desk, l store.ServiceLevel) error {
	for _, f := range []struct {
		field   string
		minutes int
	}{{"respond_minutes", l.RespondMinutes}, {"resolve_minutes", l.ResolveMinutes}, {"warn_minutes", l.WarnMinutes}} {
		if f.minutes < 0 || f.minutes > maxLevelMinutes {
			return store.Invalid(f.field, "must be between 0 and %d", maxLevelMinutes)
		}
	}
	switch {
	case l.Name == "":
		return store.Invalid("name", "is required")
	case l.RespondMinutes+l.ResolveMinutes == 0:
		return store.Invalid("respond_minutes", "or resolve_minutes must be more than 0")
	case l.CalendarID != "" && desk.Calendar(l.CalendarID) == nil:
		return store.Invalid("calendar_id", "there is no such calendar")
	case l.ManagerID != "" && desk.Agent(l.ManagerID) == nil:
		return store.Invalid("manager_id", "there is no such agent")
	}
	return nil
}

// CheckEscalation says what is wrong with the escalation of a channel, and with the
// service level that it names: invalid, with the field.
func CheckEscalation(desk *store.Desk, c store.Channel) error {
	e := c.Escalation
	switch {
	case c.ServiceLevelID != "" && desk.ServiceLevel(c.ServiceLevelID) == nil:
		return store.Invalid("service_level_id", "there is no such service level")
	case e.AfterMinutes < 0 || e.AfterMinutes > maxLevelMinutes:
		return store.Invalid("escalation.after_minutes", "must be between 0 and %d", maxLevelMinutes)
	case e.ToChannelID != "" && desk.Channel(e.ToChannelID) == nil:
		return store.Invalid("escalation.to_channel_id", "there is no such channel")
	case e.ToChannelID != "" && e.ToChannelID == c.ID:
		return store.Invalid("escalation.to_channel_id", "is this channel itself")
	}
	for _, id := range e.Notify {
		if desk.Agent(id) == nil {
			return store.Invalid("escalation.notify", "there is an agent in it that does not exist")
		}
	}
	return nil
}

// calendars are a desk's, read.
type calendars struct {
	desk *store.Desk
	byID map[string]*calendar.Calendar
}

// calendarsOf reads the calendars of a desk once. One that can't be read any more,
// its zone being gone, is nil: always open to a service level.
func (s *Service) calendarsOf(desk *store.Desk) *calendars {
	if last := s.calendars.Load(); last != nil && last.desk == desk {
		return last
	}
	read := &calendars{desk: desk, byID: map[string]*calendar.Calendar{}}
	for _, c := range desk.Calendars {
		cal, err := calendar.New(c)
		if err != nil {
			s.log.Error("a calendar can't be read; its service levels count day and night, its rules do not look", "calendar", c.Name, "err", err)
		}
		read.byID[c.ID] = cal
	}
	s.calendars.Store(read)
	return read
}

// course gives what the clock of a ticket goes by; held is the channel whose level
// it has by now.
func (w *work) course(ctx context.Context, t store.Ticket, held string) (course, error) {
	by := course{channelID: t.ChannelID, turn: w.desk.Responsibility(t.ChannelID, t.StatusID)}
	if c := w.desk.Channel(t.ChannelID); c != nil {
		by.escalation = c.Escalation
	}
	id, err := w.levelOf(ctx, t)
	if err != nil {
		return by, err
	}
	if id == "" {
		id, by.ofChannel = w.levelOfChannel(held, t.ChannelID)
	}
	if by.level = w.desk.ServiceLevel(id); by.level != nil {
		by.calendar = w.s.calendarsOf(w.desk).byID[by.level.CalendarID]
	}
	return by, nil
}

// levelOfChannel gives the level of the first of some channels that has one, and
// whose it is: what a ticket has of a channel it keeps when it moves to another.
func (w *work) levelOfChannel(channels ...string) (level, of string) {
	for _, id := range channels {
		if c := w.desk.Channel(id); c != nil && c.ServiceLevelID != "" {
			return c.ServiceLevelID, c.ID
		}
	}
	return "", ""
}

// levelOf gives the service level of a ticket that is no channel's: its own, its
// contact's, its company's or that of a company above it.
func (w *work) levelOf(ctx context.Context, t store.Ticket) (string, error) {
	if len(w.desk.ServiceLevels) == 0 {
		return "", nil
	}
	for _, of := range []struct{ kind, id string }{
		{store.LevelOfTicket, strconv.FormatInt(t.Number, 10)}, {store.LevelOfContact, t.ContactID},
	} {
		if id, err := w.ownLevel(ctx, of.kind, of.id); err != nil || id != "" {
			return id, err
		}
	}
	company := t.CompanyID
	for i := 0; company != "" && i < maxParents; i++ {
		if id, err := w.ownLevel(ctx, store.LevelOfCompany, company); err != nil || id != "" {
			return id, err
		}
		c, err := w.tx.Company(ctx, company)
		if hard(err) != nil {
			return "", err
		}
		company = c.ParentID
	}
	return "", nil
}

func (w *work) ownLevel(ctx context.Context, kind, id string) (string, error) {
	if id == "" {
		return "", nil
	}
	all, err := w.tx.LevelsOf(ctx, kind, id)
	return all[id], err
}

// keepTime brings the clocks of the tickets up to date that this transaction has
// written to. It goes on where it stopped.
func (w *work) keepTime(ctx context.Context) error {
	if !w.desk.KeepsTime() {
		return nil
	}
	for w.timed < len(w.written) {
		rest := w.written[w.timed:]
		w.timed = len(w.written)
		var order []int64
		said := map[int64]happening{}
		for _, o := range rest {
			if !slices.Contains(order, o.a.Ticket) {
				order = append(order, o.a.Ticket)
			}
			said[o.a.Ticket] = said[o.a.Ticket].and(o.a)
		}
		for _, number := range order {
			if err := w.keepTimeOf(ctx, number, said[number]); err != nil {
				return err
			}
		}
	}
	return nil
}

// and adds an entry of a history. An answer ends what was asked before it, and not
// what comes after.
func (h happening) and(a store.Activity) happening {
	switch {
	case customersWord(a):
		h.asked, h.answered = true, false
	case a.Type == store.TypeOutgoing && a.CreatedBy != "":
		h.answered = true
	}
	h.acted = h.acted || a.CreatedBy != ""
	return h
}

// customersWord tells whether a customer, and no machine, said something.
func customersWord(a store.Activity) bool {
	return a.Type == store.TypeIncoming && a.Sender != store.SenderAgent && (a.Automatic == "" || a.Automatic == "list")
}

// keepTimeOf brings one clock up to date, after it has told what fell due.
func (w *work) keepTimeOf(ctx context.Context, number int64, what happening) error {
	t, err := w.tx.Ticket(ctx, number)
	if err != nil {
		return err
	}
	for _, a := range w.came { // a word that nobody has answered since
		what.asked = what.asked || a.Ticket == number && customersWord(a) && a.CreatedAt.After(t.LastOutgoingAt)
	}
	all, err := w.tx.Clocks(ctx, number)
	if err != nil {
		return err
	}
	c, runs := all[number]
	by, err := w.course(ctx, t, c.OfChannel)
	switch {
	case err != nil:
		return err
	case t.MergedInto != 0 || by.level == nil && by.escalation.AfterMinutes == 0:
		if !runs {
			return nil
		}
		return w.tx.DeleteClock(ctx, number)
	case !runs:
		asked := t.LastIncomingAt.After(t.LastOutgoingAt) && !t.CreatedAt.Equal(w.now) // a new one says itself whether
		c = store.Clock{Ticket: number, Waits: asked && !what.answered}
	default:
		if c, err = w.tellTime(ctx, &t, c, by, what.acted || c.Channel != t.ChannelID); err != nil {
			return err
		}
		if t.ChannelID != by.channelID { // it was escalated
			if by, err = w.course(ctx, t, c.OfChannel); err != nil {
				return err
			}
		}
	}
	return w.tx.PutClock(ctx, tick(c, by, what, w.now))
}

// tellTime tells what a clock has to tell by now, in the ticket's history and to
// agents, and escalates the ticket unless somebody acted, or moved it, at this moment.
func (w *work) tellTime(ctx context.Context, t *store.Ticket, c store.Clock, by course, acted bool) (store.Clock, error) {
	if c.Since.IsZero() {
		return c, nil
	}
	due := slices.DeleteFunc(steps(c, by), func(s step) bool { return s.at.After(w.now) })
	for _, s := range due {
		late := func(breach string) bool {
			return slices.ContainsFunc(due, func(o step) bool { return o.kind == breach })
		}
		c = noted(c, s.kind, by.channelID)
		var err error
		switch {
		case s.kind == stepRespondWarning && late(stepRespondBreach), s.kind == stepResolveWarning && late(stepResolveBreach):
		case s.kind == stepEscalation && acted:
		case s.kind == stepEscalation:
			err = w.escalate(ctx, t, by)
		default:
			err = w.warn(ctx, t, by, s)
		}
		if err != nil {
			return c, err
		}
	}
	return c, nil
}

// warnings say for people what a clock tells.
var warnings = map[string]string{
	stepRespondWarning: "The time to answer runs out", stepRespondBreach: "The time to answer is over",
	stepResolveWarning: "The time to end this runs out", stepResolveBreach: "The time to end this is over",
}

// warn writes into the history that a time runs out, or is over, and tells the
// ticket's agents and the level's manager.
func (w *work) warn(ctx context.Context, t *store.Ticket, by course, s step) error {
	a := w.statusChange(*t, nil, []store.Change{{Field: "service_level", To: s.kind}})
	a.Comment, a.OriginalEvent = warnings[s.kind]+": "+by.level.Name, s.kind
	if err := w.history(ctx, t, &a); err != nil {
		return err
	}
	return w.notify(ctx, *t, a, event{kind: eventWarned, also: []string{by.level.ManagerID}})
}

// escalate frees the owner and moves the ticket, as its channel says, and tells
// those whom it names. A channel that is gone or switched off takes no ticket: then
// it stays, and all are told.
func (w *work) escalate(ctx context.Context, t *store.Ticket, by course) error {
	before, e := *t, by.escalation
	var p TicketPatch
	if e.FreeOwner {
		p.OwnerID = new(string)
	}
	if to := w.desk.Channel(e.ToChannelID); to != nil && to.Active {
		p.ChannelID = &e.ToChannelID
	}
	changes, err := w.apply(t, p)
	if err != nil {
		return err
	}
	a := w.statusChange(*t, nil, append(changes, store.Change{Field: "escalation", To: w.channelName(t.ChannelID)}))
	a.Comment = fmt.Sprintf("Nobody did anything in %d minutes", e.AfterMinutes)
	a.OriginalEvent = stepEscalation
	if err := w.history(ctx, t, &a); err != nil {
		return err
	}
	told := turned(before, *t, &store.Agent{})
	told.kind, told.also = eventEscalated, append(slices.Clone(e.Notify), before.OwnerID)
	if by.level != nil {
		told.also = append(told.also, by.level.ManagerID)
	}
	if err := w.loseWatchers(ctx, *t, &told); err != nil {
		return err
	}
	return w.notify(ctx, *t, a, told)
}
