package threading

import (
	"context"
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
