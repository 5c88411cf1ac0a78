package threading

import (
	"context"
	"fmt"
	"strings"
	"time"

	"ticketgate/store"
	"ticketgate/threading/message"
)

const (
	// digestHour is when an agent gets his digest, in his time zone.
	digestHour = 7
	// digestLines bounds one digest; what is more comes in another mail.
	digestLines = 300
	// digestBatch is how many agents one round writes to.
	digestBatch = 100
)

// tellLater puts an event down for an agent's next digest.
func (w *work) tellLater(ctx context.Context, t store.Ticket, a store.Activity, n notice) error {
	return w.tx.AddDigest(ctx, store.Digest{
		ID: store.NewID(), AgentID: n.agent.ID, Ticket: t.Number, ActivityID: a.ID, Reason: n.reason,
		DueAt: nextDigest(w.now, w.s.zone(n.agent)),
	})
}

// nextDigest gives the time of the first digest after now.
func nextDigest(now time.Time, zone *time.Location) time.Time {
	local := now.In(zone)
	due := time.Date(local.Year(), local.Month(), local.Day(), digestHour, 0, 0, 0, zone)
	if !due.After(now) {
		due = time.Date(local.Year(), local.Month(), local.Day()+1, digestHour, 0, 0, 0, zone)
	}
	return due.UTC()
}

// zone gives the time zone of an agent, else the desk's.
func (s *Service) zone(agent *store.Agent) *time.Location {
	if agent.Timezone != "" {
		if zone, err := time.LoadLocation(agent.Timezone); err == nil {
			return zone
		}
	}
	return s.opt.Timezone
}

// SendDigests writes the digests that are due into the ledger. Any number of
// nodes may do so at once: what one tells, it takes in the same transaction.
func (s *Service) SendDigests(ctx context.Context) error {
	var due []string
	err := s.db.View(ctx, func(ctx context.Context, tx *store.Tx) (err error) {
		due, err = tx.DigestsDue(ctx, s.now(), digestBatch)
		return err
	})
	if err != nil {
		return err
	}
	for _, id := range due {
		for more := true; more; {
			err := s.do(ctx, func(ctx context.Context, w *work) (err error) {
				more, err = w.digest(ctx, id)
				return err
			})
			if err != nil {
				return err
			}
		}
	}
	return nil
}

// digest writes one mail of what an agent is to be told, and says whether there
// is more. While there is no account to send with, it waits.
func (w *work) digest(ctx context.Context, agentID string) (more bool, err error) {
	account := w.notifier(store.Ticket{})
	if account == nil {
		return false, nil
	}
	found, err := w.tx.TakeDigests(ctx, agentID, w.now, digestLines)
	agent := w.desk.Agent(agentID)
	if err != nil || len(found) == 0 || agent == nil || !agent.Active {
		return false, err
	}
	text, tickets, err := w.digestText(ctx, agent, found)
	if err != nil || tickets == 0 {
		return len(found) == digestLines, err
	}
	subject := fmt.Sprintf("What happened in %d of your tickets", tickets)
	return len(found) == digestLines, w.mailAgent(ctx, account, agent, "digest", subject, text)
}

// digestText tells the things ticket by ticket, in the order in which each ticket
// was first heard of. What the agent doesn't see any more is left out.
func (w *work) digestText(ctx context.Context, agent *store.Agent, found []store.Digest) (text string, tickets int, err error) {
	var order []int64
	lines := map[int64][]string{}
	zone := w.s.zone(agent)
	for _, d := range found {
		a, err := w.tx.Activity(ctx, d.ActivityID)
		if store.IsNotFound(err) {
			continue
		}
		if err != nil {
			return "", 0, err
		}
		if lines[a.Ticket] == nil {
			order = append(order, a.Ticket)
		}
		line := a.CreatedAt.In(zone).Format("Mon 15:04") + "  " + headline(d.Reason, a)
		if author := authorLine(a); author != "" {
			line += ", " + author
		}
		lines[a.Ticket] = append(lines[a.Ticket], line)
	}
	var b strings.Builder
	for _, number := range order {
		t, err := w.visible(ctx, agent, number)
		if store.IsNotFound(err) {
			continue
		}
		if err != nil {
			return "", 0, err
		}
		tickets++
		told := w.s.story(w.desk, t, store.Activity{})
		fmt.Fprintf(&b, "%s%s: %s\n", told.reference, told.channel, message.CleanLine(t.Subject))
		for _, line := range lines[number] {
			fmt.Fprintf(&b, "  %s\n", line)
		}
		fmt.Fprintf(&b, "%s\n\n", told.link)
	}
	return b.String(), tickets, nil
}
