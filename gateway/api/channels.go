package api

import (
	"context"
	"net/http"
	"strconv"

	"ticketgate/store"
	"ticketgate/threading"
)

func (a *api) registerChannels() {
	find := a.inDesk(func(d *store.Desk, id string) bool { return d.Channel(id) != nil })
	add(a, route{id: "list-channels", method: http.MethodGet, path: "/channels", tag: tagDesk, summary: "Channels"}, a.listChannels)
	add(a, route{id: "create-channel", method: http.MethodPost, path: "/channels", tag: tagAdmin,
		status: http.StatusCreated, summary: "Make a channel; nobody is subscribed to it by that"}, a.createChannel)
	add(a, route{id: "get-channel", method: http.MethodGet, path: "/channels/{id}", tag: tagDesk, find: find,
		summary: "One channel"}, a.getChannel)
	add(a, route{id: "patch-channel", method: http.MethodPatch, path: "/channels/{id}", tag: tagAdmin, find: find,
		summary: "Change a channel"}, a.patchChannel)
	add(a, route{id: "delete-channel", method: http.MethodDelete, path: "/channels/{id}", tag: tagAdmin, find: find,
		summary: "Remove a channel that nothing uses"}, a.deleteChannel)
}

// channelShape is a channel as clients read it.
type channelShape struct {
	ID                   string            `json:"id"`
	Name                 string            `json:"name"`
	Active               bool              `json:"active"`
	DefaultOwnerID       *string           `json:"default_owner_id"`
	DefaultResponsibleID *string           `json:"default_responsible_id"`
	SubjectTag           string            `json:"subject_tag"`
	StrangerFollowup     string            `json:"stranger_followup"`
	FollowupScope        string            `json:"followup_scope"`
	NewSubject           string            `json:"new_subject"`
	RequireDKIM          string            `json:"require_dkim"`
	TagInText            bool              `json:"tag_in_text"`
	ReopenDays           *int              `json:"reopen_days"`
	OnIncoming           *string           `json:"on_incoming"`
	OnOutgoing           *string           `json:"on_outgoing"`
	DefaultStatusID      *string           `json:"default_status_id"`
	Acknowledge          store.Acknowledge `json:"acknowledge"`
	AckLimit             int               `json:"ack_limit"`
	Signature            string            `json:"signature"`
	AccountID            *string           `json:"account_id"`
	Statuses             []string          `json:"statuses"`
	ServiceLevelID       *string           `json:"service_level_id"`
	Escalation           store.Escalation  `json:"escalation"`
	Responsibilities     map[string]string `json:"responsibilities" doc:"whose turn an open status is in this channel, by its id, where it is not as the status says"`
}

func channelOf(c store.Channel) channelShape {
	return channelShape{
		ID: c.ID, Name: c.Name, Active: c.Active, DefaultOwnerID: orNull(c.DefaultOwnerID),
		DefaultResponsibleID: orNull(c.DefaultResponsibleID), SubjectTag: c.SubjectTag,
		StrangerFollowup: c.StrangerFollowup, FollowupScope: c.FollowupScope, NewSubject: c.SubjectPolicy(), RequireDKIM: c.RequireDKIM,
		TagInText: c.TagInText, ReopenDays: c.ReopenDays, OnIncoming: orNull(c.OnIncoming),
		OnOutgoing: orNull(c.OnOutgoing), DefaultStatusID: orNull(c.DefaultStatusID), Acknowledge: c.Acknowledge,
		AckLimit: c.AckLimit, Signature: c.Signature, AccountID: orNull(c.AccountID), Statuses: some(c.Statuses),
		Responsibilities: someMap(c.Responsibilities), ServiceLevelID: orNull(c.ServiceLevelID), Escalation: escalationOf(c.Escalation),
	}
}

func escalationOf(e store.Escalation) store.Escalation {
	e.Notify = some(e.Notify)
	return e
}

// channelInput is the body of POST and PATCH.
type channelInput struct {
	Name                 opt[string]           `json:"name" maxLength:"100"`
	Active               opt[bool]             `json:"active"`
	DefaultOwnerID       opt[string]           `json:"default_owner_id" maxLength:"64"`
	DefaultResponsibleID opt[string]           `json:"default_responsible_id" maxLength:"64"`
	SubjectTag           opt[string]           `json:"subject_tag" enum:"prepend,append,off"`
	StrangerFollowup     opt[string]           `json:"stranger_followup" enum:"hold,append,new"`
	FollowupScope        opt[string]           `json:"followup_scope" enum:"contact,company,participants"`
	NewSubject           opt[string]           `json:"new_subject" enum:"same,suggest" doc:"a reply whose subject is another one and holds no tag: same ticket, or a ticket of its own that suggests it"`
	RequireDKIM          opt[string]           `json:"require_dkim" enum:"off,quarantine,reject"`
	TagInText            opt[bool]             `json:"tag_in_text"`
	ReopenDays           opt[int]              `json:"reopen_days" minimum:"0" maximum:"36500" doc:"null: a reply always reopens; 0: never"`
	OnIncoming           opt[string]           `json:"on_incoming" maxLength:"64" doc:"the status that a reply sets; null: none"`
	OnOutgoing           opt[string]           `json:"on_outgoing" maxLength:"64"`
	DefaultStatusID      opt[string]           `json:"default_status_id" maxLength:"64"`
	Acknowledge          opt[acknowledgeInput] `json:"acknowledge"`
	AckLimit             opt[int]              `json:"ack_limit" minimum:"0" maximum:"1000"`
	Signature            opt[string]           `json:"signature" maxLength:"10000" lines:"many"`
	AccountID            opt[string]           `json:"account_id" maxLength:"64"`
	Statuses             opt[[]string]         `json:"statuses" maxItems:"200" doc:"those that its tickets may have; none: all"`

	ServiceLevelID opt[string]           `json:"service_level_id" maxLength:"64" doc:"of tickets that have none by contact or company"`
	Escalation     opt[store.Escalation] `json:"escalation" doc:"null: none"`

	Responsibilities opt[map[string]string] `json:"responsibilities" doc:"us or customer, by the id of an open status"`
}

type acknowledgeInput struct {
	Enabled    bool   `json:"enabled"`
	TemplateID string `json:"template_id" maxLength:"64"`
}

// apply changes a channel and says which fields it can't take.
func (in *channelInput) apply(c *store.Channel) []fieldError {
	var errs []fieldError
	in.Name.must(&c.Name, "name", &errs)
	in.Active.must(&c.Active, "active", &errs)
	in.SubjectTag.must(&c.SubjectTag, "subject_tag", &errs)
	in.StrangerFollowup.must(&c.StrangerFollowup, "stranger_followup", &errs)
	in.FollowupScope.must(&c.FollowupScope, "followup_scope", &errs)
	in.NewSubject.must(&c.NewSubject, "new_subject", &errs)
	in.RequireDKIM.must(&c.RequireDKIM, "require_dkim", &errs)
	in.DefaultStatusID.must(&c.DefaultStatusID, "default_status_id", &errs)
	in.AckLimit.must(&c.AckLimit, "ack_limit", &errs)
	in.DefaultOwnerID.into(&c.DefaultOwnerID)
	in.DefaultResponsibleID.into(&c.DefaultResponsibleID)
	in.TagInText.into(&c.TagInText)
	in.OnIncoming.into(&c.OnIncoming)
	in.OnOutgoing.into(&c.OnOutgoing)
	in.Signature.into(&c.Signature)
	in.AccountID.into(&c.AccountID)
	in.Statuses.into(&c.Statuses)
	in.Responsibilities.into(&c.Responsibilities)
	in.ServiceLevelID.into(&c.ServiceLevelID)
	in.Escalation.into(&c.Escalation)
	if in.ReopenDays.Sent {
		c.ReopenDays = nil
		if !in.ReopenDays.Null {
			days := in.ReopenDays.Value
			c.ReopenDays = &days
		}
	}
	if in.Acknowledge.Sent {
		c.Acknowledge = store.Acknowledge(in.Acknowledge.Value)
	}
	return errs
}

// checkChannel asks for everything that a channel names.
func checkChannel(desk *store.Desk, c store.Channel) []fieldError {
	var errs []fieldError
	named := func(field, id string, there bool) {
		if id != "" && !there {
			errs = append(errs, fieldError{Field: field, Message: "there is no such thing"})
		}
	}
	if c.Name == "" {
		errs = append(errs, fieldError{Field: "name", Message: "is required"})
	}
	if c.DefaultStatusID == "" {
		errs = append(errs, fieldError{Field: "default_status_id", Message: "is required"})
	}
	named("default_owner_id", c.DefaultOwnerID, desk.Agent(c.DefaultOwnerID) != nil)
	named("default_responsible_id", c.DefaultResponsibleID, desk.Agent(c.DefaultResponsibleID) != nil)
	named("on_incoming", c.OnIncoming, desk.Status(c.OnIncoming) != nil)
	named("on_outgoing", c.OnOutgoing, desk.Status(c.OnOutgoing) != nil)
	named("default_status_id", c.DefaultStatusID, desk.Status(c.DefaultStatusID) != nil)
	named("account_id", c.AccountID, desk.Account(c.AccountID) != nil)
	if t := desk.Template(c.Acknowledge.TemplateID); t != nil {
		for _, e := range refusals(threading.CheckAcknowledgement(*t)) {
			errs = append(errs, fieldError{Field: "acknowledge.template_id", Message: e.Message})
		}
	} else {
		named("acknowledge.template_id", c.Acknowledge.TemplateID, false)
	}
	for i, id := range c.Statuses {
		named("statuses["+strconv.Itoa(i)+"]", "given", desk.Status(id) != nil)
	}
	if len(errs) == 0 {
		errs = append(refusals(threading.CheckStatuses(desk, c)), refusals(threading.CheckEscalation(desk, c))...)
	}
	return errs
}

func (a *api) listChannels(ctx context.Context, _ *call, in *Paging) (*page[channelShape], error) {
	desk, err := a.DB.Desk(ctx)
	if err != nil {
		return nil, err
	}
	return pageOf(newestFirst(desk.Channels), *in, func(c *store.Channel) string { return c.ID }, channelOf)
}

func (a *api) getChannel(ctx context.Context, _ *call, in *OnThing) (*answer[channelShape], error) {
	desk, err := a.DB.Desk(ctx)
	if err != nil {
		return nil, err
	}
	c := desk.Channel(in.ID)
	if c == nil {
		return nil, notFound()
	}
	return &answer[channelShape]{Body: channelOf(*c)}, nil
}

type newChannel struct {
	Body channelInput
}

func (a *api) createChannel(ctx context.Context, _ *call, in *newChannel) (*created[channelShape], error) {
	c, err := a.putChannel(ctx, &in.Body, func(desk *store.Desk) (store.Channel, error) {
		statuses := make(map[string]string, len(desk.Statuses))
		for _, s := range desk.Statuses {
			statuses[s.Name] = s.ID
		}
		return threading.DefaultChannel("", statuses), nil
	})
	return &created[channelShape]{Location: Prefix + "/channels/" + c.ID, Body: channelOf(c)}, err
}

type channelPatch struct {
	OnThing
	Body channelInput
}

func (a *api) patchChannel(ctx context.Context, _ *call, in *channelPatch) (*answer[channelShape], error) {
	c, err := a.putChannel(ctx, &in.Body, func(desk *store.Desk) (store.Channel, error) {
		if c := desk.Channel(in.ID); c != nil {
			return *c, nil
		}
		return store.Channel{}, notFound()
	})
	return &answer[channelShape]{Body: channelOf(c)}, err
}

// putChannel changes the channel that start gives, and checks and writes it.
func (a *api) putChannel(ctx context.Context, in *channelInput, start func(*store.Desk) (store.Channel, error)) (store.Channel, error) {
	return update(ctx, a.DB, func(ctx context.Context, tx *store.Tx) (store.Channel, error) {
		desk, err := tx.Desk(ctx)
		if err != nil {
			return store.Channel{}, err
		}
		c, err := start(desk)
		if err != nil {
			return c, err
		}
		errs := in.apply(&c)
		if err := refused(append(errs, checkChannel(desk, c)...)); err != nil {
			return c, err
		}
		concerns(ctx, "/channels/"+c.ID)
		return c, tx.PutChannel(ctx, c)
	})
}

func (a *api) deleteChannel(ctx context.Context, _ *call, in *OnThing) (*nothing, error) {
	return a.remove(ctx, func(ctx context.Context, tx *store.Tx) error { return tx.DeleteChannel(ctx, in.ID) })
}

// remove is every DELETE: 204.
func (a *api) remove(ctx context.Context, fn func(ctx context.Context, tx *store.Tx) error) (*nothing, error) {
	return &nothing{}, a.change(ctx, fn)
}
