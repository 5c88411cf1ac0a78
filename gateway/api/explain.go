package api

import (
	"bytes"
	"context"
	"net/http"
)

func (a *api) registerExplain() {
	add(a, route{id: "explain", method: http.MethodPost, path: "/explain", tag: tagDesk, large: true, most: a.MaxMessageBytes, pure: true,
		media: []string{"message/rfc822"}, status: http.StatusOK,
		summary: "What would become of a mail; nothing is stored"}, a.explain)
}

type explainInput struct {
	To      string `query:"to" maxLength:"1000" doc:"the envelope's recipient; default the first account that the mail names"`
	From    string `query:"from" maxLength:"1000" doc:"the envelope's sender; default the From of the mail"`
	RawBody []byte `contentType:"message/rfc822"`
}

// explain copies the body: huma takes its buffer back once the answer is made.
func (a *api) explain(ctx context.Context, _ *call, in *explainInput) (*answer[any], error) {
	if a.Explain == nil {
		return nil, unavailable("this listener explains no mail")
	}
	document, err := a.Explain(ctx, bytes.Clone(in.RawBody), in.To, in.From)
	return &answer[any]{Body: document}, err
}
