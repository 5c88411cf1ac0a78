package threading

import (
	"context"
	"fmt"

	"ticketgate/store"
)

// SaveDraft keeps what an agent will say later: in a ticket that he sees, or of
// one to be made where Ticket is 0. d holds the document and, for a draft that
// is there, its id; files are the uploads that the document names. Errors:
// not_found for a draft that is not his, or a ticket that he does not see;
// invalid for a file that is not his; conflict for a ticket that was merged.
func (s *Service) SaveDraft(ctx context.Context, agent *store.Agent, d store.Draft, files []string) (store.Draft, error) {
	err := s.do(ctx, func(ctx context.Context, w *work) error {
		kept := store.Draft{ID: store.NewID(), AgentID: agent.ID, Ticket: d.Ticket, CreatedAt: w.now}
		if d.ID != "" {
			var err error
			if kept, err = w.tx.Draft(ctx, agent.ID, d.ID); err != nil {
				return err
			}
		}
		if kept.Ticket != 0 {
			t, err := w.visible(ctx, agent, kept.Ticket)
			if err != nil {
				return err
			}
			if t.MergedInto != 0 {
				return s.wentInto(t)
			}
		}
		kept.Doc, kept.UpdatedAt = d.Doc, w.now
		d = kept
		if err := w.tx.PutDraft(ctx, d); err != nil {
			return err
		}
		return w.keepUploads(ctx, d, files)
	})
	return d, err
}

func (w *work) keepUploads(ctx context.Context, d store.Draft, files []string) error {
	for i, id := range files {
		if _, err := w.tx.Upload(ctx, d.AgentID, id); store.IsNotFound(err) {
			return store.Invalid(fmt.Sprintf("attachments[%d].file_id", i), "there is no such file")
		} else if err != nil {
			return err
		}
	}
	return w.tx.KeepUploads(ctx, d.AgentID, d.ID, files)
}

// Draft gives an agent's own draft. Error: not_found.
func (s *Service) Draft(ctx context.Context, agent *store.Agent, id string) (store.Draft, error) {
	var d store.Draft
	err := s.db.View(ctx, func(ctx context.Context, tx *store.Tx) (err error) {
		d, err = tx.Draft(ctx, agent.ID, id)
		return err
	})
	return d, err
}

// DropDraft throws an agent's own draft away. Error: not_found.
func (s *Service) DropDraft(ctx context.Context, agent *store.Agent, id string) error {
	return s.do(ctx, func(ctx context.Context, w *work) error { return w.tx.DeleteDraft(ctx, agent.ID, id) })
}

// spend ends the draft that something is made of, and the uploads in it. Both
// are gone when somebody was faster.
func (w *work) spend(ctx context.Context, agent *store.Agent, draft string, c content) error {
	if draft != "" {
		if err := w.tx.DeleteDraft(ctx, agent.ID, draft); err != nil {
			return err
		}
	}
	for _, id := range c.taken {
		err := w.tx.DeleteUpload(ctx, agent.ID, id)
		if store.IsNotFound(err) {
			return store.Invalid("attachments", "one of the files was used or removed meanwhile")
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// Upload keeps a file that an agent hands in before what it belongs to. What
// nothing uses within a day is forgotten. Error: invalid with the field.
func (s *Service) Upload(ctx context.Context, agent *store.Agent, f File) (store.Upload, error) {
	name, kind, err := f.named("file")
	if err != nil {
		return store.Upload{}, err
	}
	blob, err := s.db.Stage(ctx, f.Content)
	if err != nil {
		return store.Upload{}, err
	}
	u := store.Upload{ID: store.NewID(), AgentID: agent.ID, Name: name, Type: kind, Size: int64(len(f.Content)), Hash: blob.Hash}
	err = s.do(ctx, func(ctx context.Context, w *work) error {
		u.CreatedAt = w.now
		if err := w.tx.AddBlob(ctx, blob); err != nil {
			return err
		}
		return w.tx.AddUpload(ctx, u)
	})
	return u, err
}

func (s *Service) upload(ctx context.Context, agent *store.Agent, id string) (store.Upload, error) {
	var u store.Upload
	err := s.db.View(ctx, func(ctx context.Context, tx *store.Tx) (err error) {
		u, err = tx.Upload(ctx, agent.ID, id)
		return err
	})
	return u, err
}
