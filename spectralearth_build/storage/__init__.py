"""Object stores: archives and datasets under s3://, gs:// and az:// URLs. Imported late; obstore only here."""
