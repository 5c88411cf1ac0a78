package api

import (
	"context"

	"ticketgate/store"
	"ticketgate/threading"
)

// desk is what the API asks of threading: the one writer of tickets. Each call
// answers not_found for what the agent may not see.
type desk interface {
	tickets
	drafts
	details
	levels
	suggestions
	contacts
	SendLoginMail(ctx context.Context, tx *store.Tx, agent *store.Agent, l threading.LoginMail) error
	rules
	Reference(number int64) string
}

type tickets interface {
	Ticket(ctx context.Context, agent *store.Agent, number int64) (threading.TicketView, error)
	CreateTicket(ctx context.Context, agent *store.Agent, n threading.NewTicket) (store.Ticket, error)
	PatchTicket(ctx context.Context, agent *store.Agent, number int64, p threading.TicketPatch) (store.Ticket, error)
	AddActivity(ctx context.Context, agent *store.Agent, number int64, n threading.NewActivity) (store.Activity, error)
	MoveActivity(ctx context.Context, agent *store.Agent, number int64, id string, to int64) (store.Activity, error)
	SplitActivity(ctx context.Context, agent *store.Agent, number int64, id string, p threading.Split) (store.Ticket, error)
	FillTemplate(ctx context.Context, agent *store.Agent, number int64, id string) (threading.Filled, error)
}

type drafts interface {
	SaveDraft(ctx context.Context, agent *store.Agent, d store.Draft, files []string) (store.Draft, error)
	Draft(ctx context.Context, agent *store.Agent, id string) (store.Draft, error)
	DropDraft(ctx context.Context, agent *store.Agent, id string) error
	Upload(ctx context.Context, agent *store.Agent, f threading.File) (store.Upload, error)
}

type levels interface {
	ViewLevel(desk *store.Desk, c store.Clock) (threading.LevelView, bool)
	PutAlarm(ctx context.Context, agent *store.Agent, number int64, id string, n threading.NewAlarm) (store.Alarm, error)
	DeleteAlarm(ctx context.Context, agent *store.Agent, number int64, id string) error
}

type details interface {
	AddWatcher(ctx context.Context, agent *store.Agent, number int64, watcher string) error
	RemoveWatcher(ctx context.Context, agent *store.Agent, number int64, watcher string) error
	PutTime(ctx context.Context, agent *store.Agent, number int64, id string, e threading.Entry) (store.Worked, error)
	DeleteTime(ctx context.Context, agent *store.Agent, number int64, id string) error
	HideActivity(ctx context.Context, agent *store.Agent, number int64, id string) (store.Activity, error)
	HideFile(ctx context.Context, agent *store.Agent, number int64, activity, id string) error
	AddLink(ctx context.Context, agent *store.Agent, number, other int64, kind string) error
	DeleteLink(ctx context.Context, agent *store.Agent, number, other int64, kind string) error
}

type suggestions interface {
	Merge(ctx context.Context, agent *store.Agent, number, into int64) (store.Ticket, error)
	TakeOwnership(ctx context.Context, agent *store.Agent, number int64) (store.Ticket, error)
	Confirm(ctx context.Context, agent *store.Agent, number int64, remember string) (store.Ticket, error)
	Dismiss(ctx context.Context, agent *store.Agent, number int64) (store.Ticket, error)
}

type contacts interface {
	MergeContacts(ctx context.Context, agent *store.Agent, id, into string) (store.Contact, error)
	SearchDirectory(ctx context.Context, query string) []threading.DirectoryContact
	NewImport(dry bool) *threading.Import
	AboutContact(ctx context.Context, id string, tell func(threading.AboutContact) error) error
	EraseContact(ctx context.Context, agent *store.Agent, id string) (store.Erasure, error)
}

type rules interface {
	CheckRule(desk *store.Desk, r *store.Rule) error
	TryRule(ctx context.Context, agent *store.Agent, t threading.Trial) (threading.TrialResult, error)
}
