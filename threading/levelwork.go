package threading

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"ticketgate/store"
	"ticketgate/threading/message"
)

// timeBatch is how many tickets or alarms one look takes.
const timeBatch = 100

// KeepTime tells what clocks and alarms have to tell by now, escalates the tickets
// with which nothing happened, and counts anew after what they go by was changed.
// Any number of nodes may do so at once: who comes second finds it done.
func (s *Service) KeepTime(ctx context.Context) error {
	for _, step := range []func(context.Context) error{s.runClocks, s.ringAlarms, s.countAnew} {
		if err := step(ctx); err != nil {
			return err
		}
	}
	return nil
}

// runClocks goes through all that is due by now, so that what fails keeps nobody
// behind it from being told.
func (s *Service) runClocks(ctx context.Context) error {
	return everyDue(ctx, s, (*store.Tx).DueClocks, func(c store.DueClock) error {
		err := s.do(ctx, func(ctx context.Context, w *work) error { return w.keepTimeOf(ctx, c.Ticket, happening{}) })
		return s.goOn(ctx, err, "a clock can't tell its time; it is tried again", c.Ticket)
	})
}

// everyDue does something for each of what is due by now, a page at a time.
func everyDue[T any](ctx context.Context, s *Service, read func(*store.Tx, context.Context, time.Time, T, int) ([]T, error), do func(T) error) error {
	var last T
	for now := s.now(); ; {
		var due []T
		err := s.db.View(ctx, func(ctx context.Context, tx *store.Tx) (err error) {
			due, err = read(tx, ctx, now, last, timeBatch)
			return err
		})
		if err != nil {
			return err
		}
		for _, last = range due {
			if err := do(last); err != nil {
				return err
			}
		}
		if len(due) < timeBatch {
			return nil
		}
	}
}

// goOn is nil where the work with one ticket failed and that with others may not;
// the log then tells of it.
func (s *Service) goOn(ctx context.Context, err error, text string, ticket int64) error {
	if ctx.Err() != nil || store.CodeOf(err) == store.CodeUnavailable {
		return err
	}
	if err != nil {
		s.log.Error(text, "ticket", ticket, "err", err)
	}
	return nil
}

// countAnew brings the clocks of all open tickets up to date after calendars,
// service levels, channels or statuses were changed, or the level of a contact or
// company: a batch at each look, the next one where the last one stopped.
func (s *Service) countAnew(ctx context.Context) error {
	more, err := s.uncounted(ctx)
	for more && err == nil {
		err = s.do(ctx, func(ctx context.Context, w *work) (err error) {
			more, err = w.countSome(ctx)
			return err
		})
	}
	return err
}

// uncounted tells whether there is anything to count anew.
func (s *Service) uncounted(ctx context.Context) (bool, error) {
	var wanted, kept string
	err := s.db.View(ctx, func(ctx context.Context, tx *store.Tx) error {
		desk, err := tx.Desk(ctx)
		if err != nil {
			return err
		}
		wanted = timeHash(desk) + " all"
		kept, err = tx.Counted(ctx)
		return err
	})
	return kept != wanted, err
}

func (w *work) countSome(ctx context.Context) (more bool, err error) {
	if err := w.tx.Serialise(ctx, "clocks"); err != nil {
		return false, err
	}
	kept, err := w.tx.Counted(ctx)
	if err != nil {
		return false, err
	}
	hash, far, _ := strings.Cut(kept, " ")
	if now := timeHash(w.desk); hash != now {
		hash, far = now, "0"
	}
	if far == "all" {
		return false, nil
	}
	if !w.desk.KeepsTime() {
		if any, err := w.tx.AnyClock(ctx); err != nil || !any {
			return false, errors.Join(err, w.tx.SetCounted(ctx, hash+" all"))
		}
	}
	after, _ := strconv.ParseInt(far, 10, 64)
	numbers, err := w.tx.OpenTickets(ctx, after, timeBatch)
	if err != nil {
		return false, err
	}
	for _, number := range numbers {
		if err := w.keepTimeOf(ctx, number, happening{}); err != nil {
			return false, err
		}
		far = strconv.FormatInt(number, 10)
	}
	if len(numbers) < timeBatch {
		far = "all"
	}
	return far != "all", w.tx.SetCounted(ctx, hash+" "+far)
}

// timeHash tells desks apart by what clocks go by.
func timeHash(desk *store.Desk) string {
	type channel struct {
		ID, Level        string
		Escalation       store.Escalation
		Responsibilities map[string]string
	}
	var channels []channel
	for _, c := range desk.Channels {
		channels = append(channels, channel{c.ID, c.ServiceLevelID, c.Escalation, c.Responsibilities})
	}
	raw, _ := json.Marshal([]any{desk.ServiceLevels, desk.Calendars, desk.Statuses, channels}) // plain records
	sum := sha256.Sum256(raw)
	return hex.EncodeToString(sum[:16])
}

// SetLevel gives a contact or company a service level of its own; "" takes it away.
// The clocks of its tickets follow within moments. Error: invalid
// (service_level_id).
func SetLevel(ctx context.Context, tx *store.Tx, kind, id, levelID string) error {
	desk, err := tx.Desk(ctx)
	if err != nil {
		return err
	}
	if levelID != "" && desk.ServiceLevel(levelID) == nil {
		return store.Invalid("service_level_id", "there is no such service level")
	}
	changed, err := tx.SetLevel(ctx, kind, id, levelID)
	if err != nil || !changed {
		return err
	}
	return tx.SetCounted(ctx, "")
}

// patchLevel gives a ticket a service level of its own, and says what changed.
func (w *work) patchLevel(ctx context.Context, t *store.Ticket, levelID *string) ([]store.Change, error) {
	if levelID == nil {
		return nil, nil
	}
	name := func(id string) string {
		if l := w.desk.ServiceLevel(id); l != nil {
			return l.Name
		}
		return ""
	}
	if *levelID != "" && w.desk.ServiceLevel(*levelID) == nil {
		return nil, store.Invalid("service_level_id", "there is no such service level")
	}
	number := strconv.FormatInt(t.Number, 10)
	was, err := w.ownLevel(ctx, store.LevelOfTicket, number)
	if err != nil || was == *levelID {
		return nil, err
	}
	if _, err := w.tx.SetLevel(ctx, store.LevelOfTicket, number, *levelID); err != nil {
		return nil, err
	}
	t.Version++
	return []store.Change{{Field: "service_level", From: name(was), To: name(*levelID)}}, nil
}

// LevelView is how a ticket stands under its service level.
type LevelView struct {
	ID        string
	Name      string
	RespondBy time.Time // zero: none is due
	ResolveBy time.Time
	State     string // green, amber, red, met, breached or paused
}

// ViewLevel says how a ticket stands under its service level; false for one that has
// none.
func (s *Service) ViewLevel(desk *store.Desk, c store.Clock) (LevelView, bool) {
	l := desk.ServiceLevel(c.LevelID)
	if l == nil {
		return LevelView{}, false
	}
	return LevelView{ID: l.ID, Name: l.Name, RespondBy: c.RespondBy, ResolveBy: c.ResolveBy, State: levelState(c, s.now())}, true
}

// NewAlarm is a reminder, as an agent puts it down. In a change, nil fields stay.
type NewAlarm struct {
	At      *time.Time // to come
	Comment *string
	AgentID *string // of a new one: himself
}

// PutAlarm puts a reminder down on a ticket that the agent sees: a new one where id
// is empty. It goes off once, to an agent who sees the ticket then. One that went off
// rings again if it gets another time. Errors: not_found, invalid with the field,
// conflict for a merged ticket.
func (s *Service) PutAlarm(ctx context.Context, agent *store.Agent, number int64, id string, n NewAlarm) (store.Alarm, error) {
	var v store.Alarm
	err := s.do(ctx, func(ctx context.Context, w *work) error {
		t, err := w.watched(ctx, agent, number)
		if err != nil {
			return err
		}
		v = store.Alarm{ID: store.NewID(), Ticket: t.Number, AgentID: agent.ID, CreatedBy: agent.ID, CreatedAt: w.now}
		if id != "" {
			if v, err = w.tx.Alarm(ctx, t.Number, id); err != nil {
				return err
			}
		}
		if err := w.setAlarm(&v, t, n, id == ""); err != nil {
			return err
		}
		return w.tx.PutAlarm(ctx, v)
	})
	return v, err
}

func (w *work) setAlarm(v *store.Alarm, t store.Ticket, n NewAlarm, fresh bool) error {
	if n.At == nil && fresh {
		return store.Invalid("at", "is required")
	}
	if n.At != nil {
		at := n.At.UTC().Truncate(time.Microsecond)
		if !at.After(w.now) {
			return store.Invalid("at", "has passed")
		}
		v.At, v.DoneAt = at, time.Time{}
	}
	if n.Comment != nil {
		v.Comment = message.Clean(*n.Comment)
	}
	if n.AgentID != nil && *n.AgentID != v.AgentID {
		if err := w.canWatch("agent_id", *n.AgentID, t); err != nil {
			return err
		}
		v.AgentID = *n.AgentID
	}
	return nil
}

// DeleteAlarm takes a reminder away. Errors as PutAlarm.
func (s *Service) DeleteAlarm(ctx context.Context, agent *store.Agent, number int64, id string) error {
	return s.do(ctx, func(ctx context.Context, w *work) error {
		t, err := w.watched(ctx, agent, number)
		if err != nil {
			return err
		}
		return w.tx.DeleteAlarm(ctx, t.Number, id)
	})
}

// ringAlarms has the alarms go off that are due.
func (s *Service) ringAlarms(ctx context.Context) error {
	return everyDue(ctx, s, (*store.Tx).DueAlarms, func(v store.Alarm) error {
		err := s.do(ctx, func(ctx context.Context, w *work) error { return w.ring(ctx, v) })
		return s.goOn(ctx, err, "an alarm can't go off; it is tried again", v.Ticket)
	})
}

// reasonAlarm is why an agent is told by an alarm.
const reasonAlarm = "alarm"

// ring tells an agent of his alarm, by a mail and in the console, unless another node
// did. Who does not see the ticket any more is told nothing.
func (w *work) ring(ctx context.Context, v store.Alarm) error {
	mine, err := w.tx.EndAlarm(ctx, v.ID, v.At, w.now)
	if err != nil || !mine {
		return err
	}
	t, err := w.tx.Ticket(ctx, v.Ticket)
	if err != nil {
		return hard(err)
	}
	agent := w.desk.Agent(v.AgentID)
	if agent == nil || !agent.Active || !w.desk.Sees(agent.ID, t.ChannelID) {
		return nil
	}
	if err := w.tellAgent(ctx, agent.ID, t.Number, "", reasonAlarm, v.Comment); err != nil {
		return err
	}
	account := w.notifier(t)
	if account == nil {
		return nil
	}
	m := w.newMail(store.MailNotification, account, t, store.Activity{})
	m.ReplyTo, m.AutoSubmitted = "", "auto-generated"
	m.MessageID = "alarm." + strings.ReplaceAll(m.ID, "-", "") + "@" + domainOf(account.Address)
	m.To = []store.Address{{Name: agent.Name, Address: agent.Email}}
	m.Subject = w.s.keys.Subject(t.Subject, t.Number, w.tagPlace(t), false)
	told := w.s.story(w.desk, t, store.Activity{})
	m.Text = fmt.Sprintf("%s: your alarm%s\n%s\n\n%s\n\n%s\n", told.reference, told.channel, told.subject, v.Comment, told.link)
	return w.send(ctx, account, m, []string{agent.Email})
}
