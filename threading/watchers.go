package threading

import (
	"context"
	"regexp"
	"slices"
	"strings"

	"ticketgate/store"
	"ticketgate/threading/message"
)

// AddWatcher has an agent watch a ticket that the one who asks for it sees; he is
// told, unless he asked himself. Errors: not_found; invalid (agent_id) for who
// does not see the channel; conflict for a ticket that was merged.
func (s *Service) AddWatcher(ctx context.Context, agent *store.Agent, number int64, watcher string) error {
	return s.do(ctx, func(ctx context.Context, w *work) error {
		t, err := w.watched(ctx, agent, number)
		if err != nil {
			return err
		}
		if err := w.canWatch("agent_id", watcher, t); err != nil {
			return err
		}
		added, err := w.tx.AddWatcher(ctx, t.Number, watcher)
		if err != nil || !added {
			return err
		}
		a := w.statusChange(t, agent, []store.Change{{Field: "watchers", To: w.agentName(watcher)}})
		if err := w.history(ctx, &t, &a); err != nil {
			return err
		}
		return w.notify(ctx, t, a, event{kind: eventRoles, actor: agent.ID, became: []tie{{watcher, roleWatcher}}})
	})
}

// RemoveWatcher ends an agent's watching of a ticket that the one who asks for it
// sees. Errors: not_found, also for who does not watch; conflict for a ticket that
// was merged.
func (s *Service) RemoveWatcher(ctx context.Context, agent *store.Agent, number int64, watcher string) error {
	return s.do(ctx, func(ctx context.Context, w *work) error {
		t, err := w.watched(ctx, agent, number)
		if err != nil {
			return err
		}
		if err := w.tx.RemoveWatcher(ctx, t.Number, watcher); err != nil {
			return err
		}
		a := w.statusChange(t, agent, []store.Change{{Field: "watchers", From: w.agentName(watcher)}})
		return w.history(ctx, &t, &a)
	})
}

// watched gives a ticket whose watchers are to change.
func (w *work) watched(ctx context.Context, agent *store.Agent, number int64) (store.Ticket, error) {
	t, err := w.visible(ctx, agent, number)
	if err == nil && t.MergedInto != 0 {
		err = w.s.wentInto(t)
	}
	return t, err
}

// canWatch refuses who does not see the channel of a ticket.
func (w *work) canWatch(field, id string, t store.Ticket) error {
	agent := w.desk.Agent(id)
	if agent == nil || !agent.Active {
		return store.Invalid(field, "there is no such active agent")
	}
	if !w.desk.Sees(id, t.ChannelID) {
		return store.Invalid(field, "%s does not see the channel %s", agent.Name, w.channelName(t.ChannelID))
	}
	return nil
}

// loseWatchers ends the watching of those who don't see the channel that a
// ticket moved to; the event tells them.
func (w *work) loseWatchers(ctx context.Context, t store.Ticket, e *event) error {
	if !e.moved {
		return nil
	}
	all, err := w.tx.Watchers(ctx, t.Number)
	if err != nil {
		return err
	}
	for _, id := range all[t.Number] {
		if w.desk.Sees(id, t.ChannelID) {
			continue
		}
		if err := w.tx.RemoveWatcher(ctx, t.Number, id); err != nil {
			return err
		}
		e.lost = append(e.lost, tie{id, roleWatcher})
	}
	return nil
}

// shareWatchers lets those who watch a ticket watch the one that it went into, if
// they see it.
func (w *work) shareWatchers(ctx context.Context, from, to store.Ticket) error {
	all, err := w.tx.Watchers(ctx, from.Number)
	if err != nil {
		return err
	}
	for _, id := range all[from.Number] {
		if !w.desk.Sees(id, to.ChannelID) {
			continue
		}
		if _, err := w.tx.AddWatcher(ctx, to.Number, id); err != nil {
			return err
		}
	}
	return nil
}

// maxMentions bounds how many agents one note calls.
const maxMentions = 20

// mentioned finds @name in a note, where name is an agent's address, the part of
// it before the @, or his name without its spaces.
var mentioned = regexp.MustCompile(`(?:^|[\s(\[{,;:"'>])@([\p{L}\p{N}][\p{L}\p{N}._+-]*(?:@[\p{L}\p{N}.-]+)?)`)

// mention makes those whom an agent's note names watchers, and has them told. A
// name that means two agents, or somebody who doesn't see the ticket, is a word
// like any other.
func (w *work) mention(ctx context.Context, t store.Ticket, a store.Activity, told *event) error {
	if a.Type != store.TypeNote {
		return nil
	}
	for _, id := range mentions(w.desk, a.ReplyText) { // what he quotes calls nobody again
		if !w.desk.Sees(id, t.ChannelID) || id == told.actor {
			continue
		}
		if _, err := w.tx.AddWatcher(ctx, t.Number, id); err != nil {
			return err
		}
		told.became = append(told.became, tie{id, roleMentioned})
	}
	return nil
}

// mentions gives the active agents whom a text names, each once.
func mentions(desk *store.Desk, text string) []string {
	var ids []string
	for _, found := range mentioned.FindAllStringSubmatch(text, -1) {
		id := namesake(desk, strings.TrimRight(found[1], ".-"))
		if id != "" && !slices.Contains(ids, id) && len(ids) < maxMentions {
			ids = append(ids, id)
		}
	}
	return ids
}

// namesake gives the one active agent whom a name means, or "".
func namesake(desk *store.Desk, name string) string {
	name = strings.ToLower(name)
	id := ""
	for i := range desk.Agents {
		agent := &desk.Agents[i]
		local, _, _ := strings.Cut(agent.Key, "@")
		plain := strings.ToLower(strings.Join(strings.Fields(message.CleanLine(agent.Name)), ""))
		if !agent.Active || name != agent.Key && name != local && name != plain {
			continue
		}
		if id != "" {
			return ""
		}
		id = agent.ID
	}
	return id
}
