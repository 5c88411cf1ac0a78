package api_test

import (
	"context"
	"testing"

	"ticketgate/store"
)

func TestMeSaysWhatTheCallerCanDo(t *testing.T) {
	f := newFixture(t)
	me := f.do("standard", "GET", "/me", nil).is(200).json()
	if me["email"] != "standard@example.test" || me["role"] != "agent" || me["id"] != f.agents["standard"] {
		t.Errorf("the caller is %v", me)
	}
	actions := me["actions"].(m)
	for _, action := range []string{"new_email_ticket", "new_enquiry", "new_internal_ticket"} {
		if a := actions[action].(m); a["available"] != true || a["reason"] != "" {
			t.Errorf("%s: %v", action, a)
		}
	}
}

func TestWithoutAnAccountThatWorksNoEmailTicketIsOffered(t *testing.T) {
	f := newFixture(t)
	for _, spoil := range []func(*store.MailAccount){
		func(a *store.MailAccount) { a.Active = false },
		func(a *store.MailAccount) { a.State, a.StateReason = "error", "login refused" },
		func(a *store.MailAccount) { a.Type = store.AccountSystem },
	} {
		f.must(f.db.Update(f.ctx, func(ctx context.Context, tx *store.Tx) error {
			desk, err := tx.Desk(ctx)
			if err != nil {
				return err
			}
			account := *desk.Account(f.account)
			account.Active, account.State, account.Type = true, "ok", store.AccountTicket
			spoil(&account)
			return tx.PutAccount(ctx, account)
		}))
		actions := f.do("standard", "GET", "/me", nil).is(200).json()["actions"].(m)
		if a := actions["new_email_ticket"].(m); a["available"] != false || a["reason"] == "" {
			t.Errorf("new_email_ticket: %v", a)
		}
		if a := actions["new_enquiry"].(m); a["available"] != true {
			t.Errorf("new_enquiry: %v", a)
		}
	}
}
