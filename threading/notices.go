package threading

import (
	"slices"

	"ticketgate/store"
)

// eventKind says what agents are told of.
type eventKind string

// The events.
const (
	eventNew       eventKind = "new"       // a new ticket
	eventIncoming  eventKind = "incoming"  // a customer's word
	eventActivity  eventKind = "activity"  // an answer, a note, a change
	eventHeld      eventKind = "held"      // a stranger's mail waits for the ticket
	eventFailed    eventKind = "failed"    // an answer did not arrive
	eventEscalated eventKind = "escalated" // nothing happened in time
	eventWarned    eventKind = "warned"    // a time of the service level runs out, or has
	eventRoles     eventKind = "roles"     // somebody got a role, and nobody else need know
)

// event is something that happened to a ticket.
type event struct {
	kind     eventKind
	actor    string   // agent id of who did it, or ""
	became   []tie    // who got a role by it
	lost     []tie    // who had one, and doesn't see the channel that the ticket moved to
	also     []string // agent ids who are told as watchers are
	held     int64    // of a new ticket: the ticket that its mail waits for
	reopened bool
	moved    bool // into the channel where it lies now
	quiet    bool // no acknowledgement: another ticket of the same mail had it
}

// tie is an agent's role on a ticket.
type tie struct{ agentID, role string }

// The roles by which an agent is told, as they stand in Agent.Notify. Who was
// mentioned is a watcher.
const (
	roleOwner       = "owner"
	roleResponsible = "responsible"
	roleWatcher     = "watcher"
	roleSubscriber  = "subscriber"
	roleMentioned   = "mentioned"
)

// The reasons why an agent is told, for programs.
const (
	reasonBecame    = "became_" // and the role
	reasonMentioned = "mentioned"
	reasonLost      = "lost"
	reasonReopened  = "reopened"
	reasonMoved     = "moved"
)

// notice tells one agent of an event.
type notice struct {
	agent  *store.Agent
	way    string // one of the store.Notify words, but for none and relevant
	reason string // an event's kind, or one of the reasons
}

// notices decides who is told of an event, how and why, in a fixed order:
// owner, responsible, watchers and standard subscribers, each once, by the most
// direct way that he chose for one of his roles. Never who did it, never an
// informal subscriber as such, nobody who doesn't see the channel, but for those
// who lost the ticket by its move.
func notices(desk *store.Desk, t store.Ticket, watchers []string, e event) []notice {
	var list []notice
	told := map[string]bool{e.actor: true, "": true}
	ties := audience(desk, t, watchers, e)
	for _, one := range ties {
		agent := desk.Agent(one.agentID)
		if told[one.agentID] || agent == nil || !agent.Active || !desk.Sees(agent.ID, t.ChannelID) {
			continue
		}
		told[agent.ID] = true
		if way := chosen(agent, ties, e); way != store.NotifyNone {
			list = append(list, notice{agent: agent, way: way, reason: e.reason(agent.ID)})
		}
	}
	for _, one := range e.lost {
		agent := desk.Agent(one.agentID)
		if told[one.agentID] || agent == nil || !agent.Active || desk.Sees(agent.ID, t.ChannelID) {
			continue
		}
		told[agent.ID] = true
		list = append(list, notice{agent: agent, way: chosenLoss(agent, one.role), reason: reasonLost})
	}
	return list
}

// audience gives the ties by which agents may be told of an event.
func audience(desk *store.Desk, t store.Ticket, watchers []string, e event) []tie {
	owner := tie{t.OwnerID, roleOwner}
	var subscribers []tie
	for _, agent := range desk.Subscribers(t.ChannelID, store.SubscriptionStandard) {
		subscribers = append(subscribers, tie{agent.ID, roleSubscriber})
	}
	switch {
	case e.kind == eventRoles:
		return e.became
	case e.kind == eventHeld && t.OwnerID != "":
		return []tie{owner}
	case e.kind == eventHeld:
		return subscribers
	}
	ties := []tie{owner, {t.ResponsibleID, roleResponsible}}
	for _, id := range slices.Concat(watchers, e.also) {
		ties = append(ties, tie{id, roleWatcher})
	}
	return slices.Concat(ties, e.became, subscribers)
}

// chosen gives the most direct way that an agent chose for one of his roles.
func chosen(agent *store.Agent, ties []tie, e event) string {
	best := store.NotifyNone
	for _, one := range ties {
		if one.agentID != agent.ID {
			continue
		}
		way := agent.NotifyBy(choiceOf(one.role))
		if way == store.NotifyRelevant {
			way = store.NotifyNone
			if e.relevant() {
				way = store.NotifyMail
			}
		}
		if directness(way) > directness(best) {
			best = way
		}
	}
	return best
}

// chosenLoss is the way of telling somebody that a ticket is out of his sight:
// never not at all, and not later, when nothing of it can be told any more.
func chosenLoss(agent *store.Agent, role string) string {
	switch agent.NotifyBy(choiceOf(role)) {
	case store.NotifyNone, store.NotifyEvent:
		return store.NotifyEvent
	}
	return store.NotifyMail
}

func choiceOf(role string) string {
	if role == roleMentioned {
		return roleWatcher
	}
	return role
}

func directness(way string) int {
	return slices.Index([]string{store.NotifyNone, store.NotifyEvent, store.NotifyDigest, store.NotifyMail}, way)
}

// relevant tells whether an event is one for subscribers who want the important
// ones alone.
func (e event) relevant() bool {
	return e.kind != eventActivity || e.reopened || e.moved
}

// reason says why an agent is told.
func (e event) reason(agentID string) string {
	for _, one := range e.became {
		if one.agentID == agentID && one.role == roleMentioned {
			return reasonMentioned
		}
	}
	for _, one := range e.became {
		if one.agentID == agentID {
			return reasonBecame + one.role
		}
	}
	switch {
	case e.kind == eventEscalated:
		return string(e.kind)
	case e.moved:
		return reasonMoved
	case e.reopened:
		return reasonReopened
	}
	return string(e.kind)
}
