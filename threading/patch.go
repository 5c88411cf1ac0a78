package threading

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"ticketgate/store"
	"ticketgate/threading/message"
)

// TicketPatch is a change of a ticket. A nil field stays as it is, an empty
// string clears.
type TicketPatch struct {
	Subject        *string
	StatusID       *string
	ChannelID      *string
	OwnerID        *string
	ResponsibleID  *string
	MarkerID       *string
	ContactID      *string
	Priority       *store.Priority
	Tags           *[]string
	ServiceLevelID *string        // of its own; "": that of contact, company or channel
	Fields         map[string]any // of custom fields, by key: string, float64, bool, or nil
	Participants   []ParticipantPatch
	Comment        string
	IfVersion      *int64 // the version that the change is made from; nil: the last one wins
}

// PatchTicket changes a ticket that the agent sees, and writes what changed
// into its history. Errors: not_found, invalid with the field, conflict
// (version).
func (s *Service) PatchTicket(ctx context.Context, agent *store.Agent, number int64, p TicketPatch) (store.Ticket, error) {
	if p.Subject != nil {
		subject, err := line("subject", *p.Subject)
		if err == nil && subject == "" {
			err = store.Invalid("subject", "must not be empty")
		}
		if err != nil {
			return store.Ticket{}, err
		}
		p.Subject = &subject
	}
	var changed store.Ticket
	err := s.do(ctx, func(ctx context.Context, w *work) error {
		t, err := w.visible(ctx, agent, number)
		if err != nil {
			return err
		}
		changed, err = w.patch(ctx, agent, t, p)
		return err
	})
	return changed, err
}

func (w *work) patch(ctx context.Context, agent *store.Agent, t store.Ticket, p TicketPatch) (store.Ticket, error) {
	before := t
	changes, err := w.apply(&t, p)
	if err != nil {
		return t, err
	}
	moved, err := w.patchContact(ctx, &t, p)
	if err != nil {
		return t, err
	}
	people, err := w.patchParticipants(ctx, &t, p.Participants)
	if err != nil {
		return t, err
	}
	fields, err := w.patchFields(ctx, &t, p.Fields)
	if err != nil {
		return t, err
	}
	level, err := w.patchLevel(ctx, &t, p.ServiceLevelID)
	if err != nil {
		return t, err
	}
	if t.MergedInto != 0 {
		return t, w.s.wentInto(t)
	}
	if p.IfVersion != nil && *p.IfVersion != before.Version {
		return t, &store.Error{Code: store.CodeConflict, Reason: store.ReasonVersion, Message: "the ticket was changed meanwhile"}
	}
	changes = slices.Concat(changes, moved, people, fields, level)
	if len(changes) == 0 && p.Comment == "" {
		return t, nil
	}
	a := w.statusChange(t, agent, changes)
	a.Comment = message.Clean(p.Comment)
	if err := w.history(ctx, &t, &a); err != nil {
		return t, err
	}
	if err := w.indexFields(ctx, t, a); err != nil {
		return t, err
	}
	e := turned(before, t, agent)
	if err := w.loseWatchers(ctx, t, &e); err != nil {
		return t, err
	}
	return t, w.notify(ctx, t, a, e)
}

// visible reads a ticket that an agent sees; to anybody else it is not there.
func (w *work) visible(ctx context.Context, agent *store.Agent, number int64) (store.Ticket, error) {
	t, err := w.tx.Ticket(ctx, number)
	if err != nil {
		return t, err
	}
	if !w.desk.Sees(agent.ID, t.ChannelID) {
		return store.Ticket{}, store.Errorf(store.CodeNotFound, "there is no such ticket")
	}
	return t, nil
}

// statusChange makes the entry that tells of a change.
func (w *work) statusChange(t store.Ticket, agent *store.Agent, changes []store.Change) store.Activity {
	a := store.Activity{
		ID: store.NewID(), Ticket: t.Number, Type: store.TypeStatusChange, Medium: store.MediumInternal, CreatedAt: w.now,
		Author: store.Author{Kind: store.AuthorSystem},
	}
	if agent != nil {
		a.CreatedBy = agent.ID
		a.Author = store.Author{Kind: store.AuthorAgent, ID: agent.ID, Name: agent.Name}
	}
	a.Changes = changes
	return a
}

// apply changes the fields of a ticket that need nothing but the desk.
func (w *work) apply(t *store.Ticket, p TicketPatch) ([]store.Change, error) {
	var changes []store.Change
	note := func(field, from, to string) {
		if from != to {
			changes = append(changes, store.Change{Field: field, From: from, To: to})
		}
	}
	before := *t
	set(&t.Subject, p.Subject)
	set(&t.ChannelID, p.ChannelID)
	set(&t.OwnerID, p.OwnerID)
	set(&t.ResponsibleID, p.ResponsibleID)
	set(&t.MarkerID, p.MarkerID)
	if p.Priority != nil {
		t.Priority = *p.Priority
	}
	if p.Tags != nil {
		t.Tags = cleanTags(*p.Tags)
	}
	status := p.StatusID
	if status != nil && w.desk.Status(*status) == nil {
		return nil, store.Invalid("status_id", "there is no such status")
	}
	if before.ChannelID != t.ChannelID {
		w.dropUnseen(t, p)
		if status == nil {
			status = w.fitting(t)
		}
	}
	var turned []store.Change
	if status != nil {
		turned = setStatus(w.desk, t, *status, w.now)
	}
	if err := w.check(before, t); err != nil {
		return nil, err
	}
	note("subject", before.Subject, t.Subject)
	note("channel", w.channelName(before.ChannelID), w.channelName(t.ChannelID))
	changes = append(changes, turned...)
	note("owner", w.agentName(before.OwnerID), w.agentName(t.OwnerID))
	note("responsible", w.agentName(before.ResponsibleID), w.agentName(t.ResponsibleID))
	note("marker", w.markerName(before.MarkerID), w.markerName(t.MarkerID))
	note("priority", string(before.Priority), string(t.Priority))
	note("tags", strings.Join(before.Tags, ", "), strings.Join(t.Tags, ", "))
	if len(changes) > 0 {
		t.Version++
	}
	return changes, nil
}

func set(field *string, to *string) {
	if to != nil {
		*field = *to
	}
}

func cleanTags(tags []string) []string {
	var list []string
	for _, tag := range tags {
		if tag = message.CleanLine(tag); tag != "" && !slices.Contains(list, tag) {
			list = append(list, tag)
		}
	}
	return list
}

// fitting gives the status that a ticket takes in a channel which does not use
// the one that it has: one of the same meaning, else the one of a new ticket.
// Nil: it keeps the one that it has.
func (w *work) fitting(t *store.Ticket) *string {
	channel := w.desk.Channel(t.ChannelID)
	was := w.desk.Status(t.StatusID)
	if channel == nil || was == nil || channel.Allows(was.ID) {
		return nil
	}
	for _, s := range w.desk.Statuses {
		if channel.Allows(s.ID) && s.Closed == was.Closed && w.desk.Responsibility(channel.ID, s.ID) == was.Responsibility {
			return &s.ID
		}
	}
	return &channel.DefaultStatusID
}

// dropUnseen takes away the owner and the responsible who don't see the channel
// that a ticket moves to, unless the same step names them.
func (w *work) dropUnseen(t *store.Ticket, p TicketPatch) {
	if p.OwnerID == nil && t.OwnerID != "" && !w.desk.Sees(t.OwnerID, t.ChannelID) {
		t.OwnerID = ""
	}
	if p.ResponsibleID == nil && t.ResponsibleID != "" && !w.desk.Sees(t.ResponsibleID, t.ChannelID) {
		t.ResponsibleID = ""
	}
}

// check says whether what changed in a ticket can stand: an owner who was
// switched off since must not keep it from being answered.
func (w *work) check(before store.Ticket, t *store.Ticket) error {
	channel := w.desk.Channel(t.ChannelID)
	if t.ChannelID != before.ChannelID && (channel == nil || !channel.Active) {
		return store.Invalid("channel_id", "there is no such active channel")
	}
	if t.StatusID != before.StatusID && w.desk.Status(t.StatusID) == nil {
		return store.Invalid("status_id", "there is no such status")
	}
	if (t.StatusID != before.StatusID || t.ChannelID != before.ChannelID) && channel != nil && !channel.Allows(t.StatusID) {
		return store.Invalid("status_id", "the channel %s does not use the status %s", channel.Name, w.statusName(t.StatusID))
	}
	if t.MarkerID != "" && t.MarkerID != before.MarkerID && w.desk.Marker(t.MarkerID) == nil {
		return store.Invalid("marker_id", "there is no such colour marker")
	}
	switch t.Priority {
	case "":
		t.Priority = store.PriorityNormal
	case store.PriorityLow, store.PriorityNormal, store.PriorityHigh, store.PriorityUrgent:
	default:
		return store.Invalid("priority", "must be low, normal, high or urgent")
	}
	for _, role := range []struct{ field, id, was string }{
		{"owner_id", t.OwnerID, before.OwnerID}, {"responsible_id", t.ResponsibleID, before.ResponsibleID},
	} {
		if role.id == "" || role.id == role.was {
			continue
		}
		agent := w.desk.Agent(role.id)
		if agent == nil || !agent.Active {
			return store.Invalid(role.field, "there is no such active agent")
		}
		if !w.desk.Sees(role.id, t.ChannelID) {
			return store.Invalid(role.field, "%s does not see the channel %s", agent.Name, channel.Name)
		}
	}
	return nil
}

// patchContact gives the ticket to another contact.
func (w *work) patchContact(ctx context.Context, t *store.Ticket, p TicketPatch) ([]store.Change, error) {
	if p.ContactID == nil || *p.ContactID == t.ContactID {
		return nil, nil
	}
	if t.Kind == store.KindInternal {
		return nil, store.Invalid("contact_id", "an internal ticket has no contact")
	}
	next := store.Contact{}
	if *p.ContactID != "" {
		var err error
		if next, err = w.tx.Contact(ctx, *p.ContactID); err != nil {
			if store.IsNotFound(err) {
				return nil, store.Invalid("contact_id", "there is no such contact")
			}
			return nil, err
		}
	}
	was, err := w.tx.Contact(ctx, t.ContactID)
	if err != nil && !store.IsNotFound(err) {
		return nil, err
	}
	t.ContactID, t.CompanyID = next.ID, next.CompanyID
	t.Version++
	return []store.Change{{Field: "contact", From: was.Name, To: next.Name}}, nil
}

func (w *work) statusName(id string) string {
	if s := w.desk.Status(id); s != nil {
		return s.Name
	}
	return ""
}

func (w *work) markerName(id string) string {
	if m := w.desk.Marker(id); m != nil {
		return m.Name
	}
	return ""
}

func (w *work) channelName(id string) string {
	if c := w.desk.Channel(id); c != nil {
		return c.Name
	}
	return ""
}

func (w *work) agentName(id string) string {
	if a := w.desk.Agent(id); a != nil {
		return a.Name
	}
	return ""
}

// turned is the event of a change from one state of a ticket to another: who got
// a role by it, and who lost one because the ticket moved out of his sight.
func turned(before, after store.Ticket, actor *store.Agent) event {
	e := event{kind: eventActivity, actor: actor.ID, moved: before.ChannelID != after.ChannelID}
	for _, role := range []struct{ name, was, is string }{
		{roleOwner, before.OwnerID, after.OwnerID}, {roleResponsible, before.ResponsibleID, after.ResponsibleID},
	} {
		if role.was == role.is {
			continue
		}
		if role.is != "" {
			e.became = append(e.became, tie{role.is, role.name})
		}
		if role.was != "" && e.moved {
			e.lost = append(e.lost, tie{role.was, role.name})
		}
	}
	return e
}

// TakeOwnership makes the agent the owner of a ticket that he sees.
func (s *Service) TakeOwnership(ctx context.Context, agent *store.Agent, number int64) (store.Ticket, error) {
	return s.PatchTicket(ctx, agent, number, TicketPatch{OwnerID: &agent.ID})
}

// wentInto is the error of a change to a ticket that is merged.
func (s *Service) wentInto(t store.Ticket) error {
	return store.Errorf(store.CodeConflict, "%s went into %s", s.Reference(t.Number), s.Reference(t.MergedInto))
}

// Merge puts a ticket into another: its mail, calls and notes move there, and
// mail and agents that name the first are led to the second. Both must be seen by the agent. Errors: not_found,
// invalid, conflict where one of them is internal and the other has a contact.
func (s *Service) Merge(ctx context.Context, agent *store.Agent, number, into int64) (store.Ticket, error) {
	var merged store.Ticket
	err := s.do(ctx, func(ctx context.Context, w *work) error {
		if err := w.hold(ctx, number, into); err != nil {
			return err
		}
		t, err := w.visible(ctx, agent, number)
		if err != nil {
			return err
		}
		to, err := w.visible(ctx, agent, into)
		if store.IsNotFound(err) {
			return store.Invalid("into", "there is no such ticket")
		}
		if err != nil {
			return err
		}
		merged, err = w.merge(ctx, agent, t, to, nil)
		return err
	})
	return merged, err
}

// merge puts t into to; changes are what else that does to the latter.
func (w *work) merge(ctx context.Context, agent *store.Agent, t, to store.Ticket, changes []store.Change) (store.Ticket, error) {
	if t.MergedInto != 0 {
		return t, w.s.wentInto(t)
	}
	root, err := w.s.followed(ctx, w.tx, to.Number)
	if err != nil {
		return t, err
	}
	if root.Number == t.Number {
		return t, store.Invalid("into", "a ticket can't go into itself")
	}
	if agent != nil && !w.desk.Sees(agent.ID, root.ChannelID) {
		return t, store.Invalid("into", "there is no such ticket")
	}
	if (t.Kind == store.KindInternal) != (root.Kind == store.KindInternal) && t.ContactID+root.ContactID != "" {
		return t, store.Errorf(store.CodeConflict, "an internal ticket can't be merged with one that has a contact")
	}
	if err := w.shareWatchers(ctx, t, root); err != nil {
		return t, err
	}
	values, err := w.shareFields(ctx, t.Number, &root)
	if err != nil {
		return t, err
	}
	held := t.SuggestedTicket != 0 // its stranger stays one: Confirm says what is remembered
	if !held {
		if err := w.shareParticipants(ctx, t.Number, root.Number); err != nil {
			return t, err
		}
	}
	if err := w.moveAll(ctx, t, &root); err != nil {
		return t, err
	}
	went := t
	entries, err := w.goesInto(ctx, agent, &t, &root, slices.Concat(changes, values))
	if err != nil || agent == nil { // what comes together by itself does so by a mail, and of that agents are told
		return t, err
	}
	return t, w.tellMerge(ctx, agent, went, root, entries)
}

// tellMerge tells the agents of the ticket that is left, and with them those of the
// one that went into it, who watch it now; a mail that waited comes in by that. Who
// doesn't see it loses his own, as by a move, and reads nothing of the other.
func (w *work) tellMerge(ctx context.Context, agent *store.Agent, went, root store.Ticket, entries [2]store.Activity) error {
	watchers, err := w.tx.Watchers(ctx, went.Number)
	if err != nil {
		return err
	}
	ties := []tie{{went.OwnerID, roleOwner}, {went.ResponsibleID, roleResponsible}}
	for _, id := range watchers[went.Number] {
		ties = append(ties, tie{id, roleWatcher})
	}
	e := event{kind: eventActivity, actor: agent.ID}
	if went.SuggestedTicket != 0 {
		e.kind = eventIncoming
	}
	for _, one := range ties {
		e.also = append(e.also, one.agentID)
	}
	if err := w.notify(ctx, root, entries[1], e); err != nil {
		return err
	}
	went.ChannelID = root.ChannelID
	return w.notify(ctx, went, entries[0], event{kind: eventRoles, actor: agent.ID, lost: ties})
}

// goesInto writes that a ticket leads to another from now on, and gives what stands
// of that in the history of either.
func (w *work) goesInto(ctx context.Context, agent *store.Agent, t, root *store.Ticket, changes []store.Change) (entries [2]store.Activity, err error) {
	if t.SuggestedTicket != 0 {
		if err := w.tx.DeleteLink(ctx, t.Number, t.SuggestedTicket, store.LinkSuggested, store.LinkWaiting); err != nil {
			return entries, err
		}
	}
	t.MergedInto, t.SuggestedTicket = root.Number, 0
	t.Version++
	if root.SuggestedTicket == t.Number {
		root.SuggestedTicket = 0
	}
	if t.ClosedAt.IsZero() {
		t.ClosedAt = w.now
	}
	if err := w.tx.AddLink(ctx, t.Number, root.Number, store.LinkMergedInto, store.LinkMerged); err != nil {
		return entries, err
	}
	if err := w.waitFor(ctx, t.Number, root.Number); err != nil {
		return entries, err
	}
	if err := w.tx.MoveDrafts(ctx, t.Number, root.Number); err != nil {
		return entries, err
	}
	for _, move := range []func(context.Context, int64, int64) error{w.tx.MoveWorked, w.tx.MoveAlarms} {
		if err := move(ctx, t.Number, root.Number); err != nil {
			return entries, err
		}
	}
	note := fmt.Sprintf("%s went into %s", w.s.Reference(t.Number), w.s.Reference(root.Number))
	for i, side := range []*store.Ticket{t, root} {
		a := w.statusChange(*side, agent, []store.Change{{Field: "merged_into", From: w.s.Reference(t.Number), To: w.s.Reference(root.Number)}})
		a.Comment = note
		if side == root {
			a.Changes = append(a.Changes, changes...)
		}
		if err := w.history(ctx, side, &a); err != nil {
			return entries, err
		}
		if err := w.indexFields(ctx, *side, a); err != nil {
			return entries, err
		}
		entries[i] = a
	}
	return entries, nil
}

// waitFor has the mail that waits for a ticket wait for the one that it went into.
func (w *work) waitFor(ctx context.Context, from, to int64) error {
	list, err := w.held(ctx, from)
	if err != nil {
		return err
	}
	for _, held := range list {
		if err := w.tx.DeleteLink(ctx, held.Number, from, store.LinkSuggested, store.LinkWaiting); err != nil {
			return err
		}
		if held.Number == to { // what was suggested went into what waits for it: nothing waits
			continue
		}
		waits, err := w.tx.Suggest(ctx, held.Number, from, to)
		if err != nil {
			return err
		}
		if !waits {
			continue
		}
		if err := w.tx.AddLink(ctx, held.Number, to, store.LinkSuggested, store.LinkWaiting); err != nil {
			return err
		}
	}
	return nil
}

// moveAll moves what was said in a ticket into another, in its order.
func (w *work) moveAll(ctx context.Context, from store.Ticket, to *store.Ticket) error {
	var all []store.Activity
	for cursor := ""; ; {
		page, next, err := w.tx.Activities(ctx, from.Number, cursor, 200)
		if err != nil {
			return err
		}
		all = append(all, page...)
		if cursor = next; cursor == "" {
			break
		}
	}
	for _, a := range all {
		if a.Type == store.TypeStatusChange {
			continue
		}
		moved, err := w.tx.MoveActivity(ctx, a.ID, to.Number, w.now)
		if err != nil {
			return err
		}
		w.came = append(w.came, moved)
	}
	if from.LastIncomingAt.After(to.LastIncomingAt) {
		to.LastIncomingAt = from.LastIncomingAt
	}
	if from.LastOutgoingAt.After(to.LastOutgoingAt) {
		to.LastOutgoingAt = from.LastOutgoingAt
	}
	return nil
}

// shareParticipants lets those who may write into a ticket write into the one
// that it went into.
func (w *work) shareParticipants(ctx context.Context, from, to int64) error {
	list, err := w.tx.Participants(ctx, from)
	if err != nil || len(list) == 0 {
		return err
	}
	for i := range list {
		list[i].Ticket, list[i].Active = to, false
	}
	return w.tx.AddParticipants(ctx, list)
}
