# A container of the program alone, for its own user and a read-only root file
# system: docker run --read-only --tmpfs /tmp -v oriel:/data …
FROM golang:1.26 AS build
WORKDIR /src
COPY go.mod go.sum ./
RUN go mod download
COPY . .
RUN CGO_ENABLED=0 go build -trimpath -ldflags="-s -w" -o /out/oriel . \
    && install -d -o 65532 -g 65532 -m 0700 /out/data \
    && install -d -m 1777 /out/tmp \
    && install -D -m 0644 /etc/ssl/certs/ca-certificates.crt /out/etc/ssl/certs/ca-certificates.crt

FROM scratch
COPY --from=build /out/ /
USER 65532:65532
WORKDIR /data
VOLUME /data
ENV ORIEL_STORE_PATH=/data/oriel.db
# Reached from outside the container only with ORIEL_LISTEN=0.0.0.0:6060.
EXPOSE 6060
ENTRYPOINT ["/oriel"]
CMD ["serve"]
