package api

import (
	"bytes"
	"context"
	"errors"
	"io"
	"mime"
	"mime/multipart"
	"net/http"

	"ticketgate/store"
	"ticketgate/threading"
)

func (a *api) registerUploads() {
	find := a.findUpload
	add(a, route{id: "upload-file", method: http.MethodPost, path: "/files", tag: tagDesk, large: true,
		media: []string{"multipart/form-data"}, status: http.StatusCreated,
		summary: "Hand in a file, as the part named file; attachments name it by its id, within a day"}, a.uploadFile)
	add(a, route{id: "get-file", method: http.MethodGet, path: "/files/{id}", tag: tagDesk, find: find,
		summary: "The caller's own file, while nothing has used it"}, a.getFile)
	add(a, route{id: "delete-file", method: http.MethodDelete, path: "/files/{id}", tag: tagDesk, find: find,
		summary: "Take a file back that nothing has used"}, a.deleteFile)
}

// uploadShape is a file that was handed in.
type uploadShape struct {
	FileID string `json:"file_id"`
	Name   string `json:"name"`
	Type   string `json:"type"`
	Size   int64  `json:"size"`
	SHA256 string `json:"sha256"`
}

type uploadInput struct {
	ContentType string `header:"Content-Type" maxLength:"1000"`
	RawBody     []byte `contentType:"multipart/form-data"`
}

// uploadFile copies the body: huma takes its buffer back once the answer is made.
func (a *api) uploadFile(ctx context.Context, c *call, in *uploadInput) (*created[uploadShape], error) {
	f, err := onlyFile(in.ContentType, bytes.Clone(in.RawBody))
	if err != nil {
		return nil, err
	}
	u, err := a.Desk.Upload(ctx, c.agent, f)
	if err != nil {
		return nil, err
	}
	return &created[uploadShape]{
		Location: Prefix + "/files/" + u.ID,
		Body:     uploadShape{FileID: u.ID, Name: u.Name, Type: u.Type, Size: u.Size, SHA256: u.Hash},
	}, nil
}

// onlyFile reads a form that holds one file and nothing else (RFC 7578). The
// name of the file has lost its folders.
func onlyFile(contentType string, body []byte) (threading.File, error) {
	var f threading.File
	_, params, err := mime.ParseMediaType(contentType)
	if err != nil || params["boundary"] == "" {
		return f, newProblem(http.StatusBadRequest, "the form has no boundary")
	}
	form := multipart.NewReader(bytes.NewReader(body), params["boundary"])
	part, err := form.NextPart()
	if err != nil {
		return f, newProblem(http.StatusBadRequest, "the form can't be read")
	}
	if part.FormName() != "file" || part.FileName() == "" {
		return f, invalid("file", "a file is expected in the part of this name")
	}
	f.Name, f.Type = part.FileName(), part.Header.Get("Content-Type")
	if f.Content, err = io.ReadAll(part); err != nil {
		return f, newProblem(http.StatusBadRequest, "the form breaks off")
	}
	if _, err := form.NextPart(); !errors.Is(err, io.EOF) {
		return f, invalid("file", "is the one part that a form may have")
	}
	return f, nil
}

// findUpload is the 404 of another's file.
func (a *api) findUpload(ctx context.Context, c *call) error {
	_, err := a.ownUpload(ctx, c, c.param("id"))
	return err
}

func (a *api) ownUpload(ctx context.Context, c *call, id string) (store.Upload, error) {
	return view(ctx, a.DB, func(ctx context.Context, tx *store.Tx) (store.Upload, error) {
		return tx.Upload(ctx, c.agent.ID, id)
	})
}

func (a *api) getFile(ctx context.Context, c *call, in *OnThing) (*download, error) {
	u, err := a.ownUpload(ctx, c, in.ID)
	if err != nil {
		return nil, err
	}
	body, err := a.DB.Blob(ctx, u.Hash)
	if err != nil {
		return nil, err
	}
	return newDownload(servedType(u.Type), u.Name, false, body), nil
}

func (a *api) deleteFile(ctx context.Context, c *call, in *OnThing) (*nothing, error) {
	return a.remove(ctx, func(ctx context.Context, tx *store.Tx) error { return tx.DeleteUpload(ctx, c.agent.ID, in.ID) })
}
