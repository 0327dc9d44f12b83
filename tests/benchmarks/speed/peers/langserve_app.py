"""LangServe in front of LangChain's ChatOpenAI."""

from fastapi import FastAPI
from langchain_openai import ChatOpenAI
from langserve import add_routes

app = FastAPI()
add_routes(app, ChatOpenAI(model="m", api_key="sk-test"), path="/chat")
