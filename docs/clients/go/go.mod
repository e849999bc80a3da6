module faceline.example/clients

go 1.21
