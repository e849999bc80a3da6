//! Motion between pictures of people, with the installed models.
